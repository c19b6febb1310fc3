"""Domains found by NAPTR and ``_sips._tcp`` (RFC 3263)."""

from sipx_rfc3263.plugin import Rfc3263, Rfc3263Config

__all__ = ["Rfc3263", "Rfc3263Config"]
