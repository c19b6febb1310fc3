"""Failures of the kernel that an operator can act on."""

from __future__ import annotations


class SipxError(Exception):
    """Something that ends a command with a sentence instead of a traceback."""


class PluginError(SipxError):
    """A plugin cannot be loaded or breaks the rules of docs/hooks.md; names it and the remedy."""


class StartError(SipxError):
    """The configuration is right, but the machine refuses: an address in use, a missing right."""
