"""Why a capture cannot be read."""

from __future__ import annotations


class CaptureError(ValueError):
    """A file that is no capture, is damaged, or holds what cannot be read; says what to do."""
