"""Types of configuration values that hold domains (RFC 3261 §25.1 ``host``, RFC 5890)."""

from __future__ import annotations

import re
from typing import Annotated, Final, TypeVar

from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError

from sipx.config.hints import Widget
from sipx.config.values import kind, refuse, show
from sipx.domains import canonical_domain

_DOMAIN_ALLOWED: Final = 'a domain name such as "example.com"'


def _domain(value: object) -> str:
    if isinstance(value, str):
        try:
            return canonical_domain(value).decode()
        except ValueError as error:
            wrong = f"{show(value)} is not a domain name"
            raise refuse(wrong, _DOMAIN_ALLOWED, _domain_hint(value)) from error
    raise refuse(f"{show(value)} is {kind(value)}", _DOMAIN_ALLOWED)


def _domain_hint(text: str) -> str:
    if text.startswith(("sip:", "sips:")) or "@" in text:
        return "write the domain alone, without 'sip:' and user"
    if re.search(r":\d+\Z", text):
        return "write the domain without a port"
    return ""


def _pattern(value: object) -> str:
    if value == "*":
        return "*"
    if isinstance(value, str) and value.startswith("*."):
        return "*." + _domain(value[2:])
    if isinstance(value, str) and "*" in value:
        raise refuse(
            f"{show(value)} has a star in the wrong place",
            'a domain name, "*.example.com" for all below it, or "*" for every domain',
        )
    return _domain(value)


DomainName = Annotated[str, BeforeValidator(_domain), Widget("domain")]
"""A domain in canonical form; internationalised names become A-labels."""

DomainPattern = Annotated[str, BeforeValidator(_pattern), Widget("domain")]
"""A domain, ``*.example.com`` (every domain below it) or ``*`` (every domain)."""

T = TypeVar("T")


def _distinct(value: object) -> object:
    seen: dict[str, str] = {}
    for written in value if isinstance(value, dict) else ():
        try:
            canonical = _pattern(written)
        except PydanticCustomError:
            continue  # the key is refused with its own words
        if canonical in seen:
            raise refuse(
                f"'{written}' and '{seen[canonical]}' are the same domain",
                "each domain once",
                "remove one of the two tables",
            )
        seen[canonical] = written
    return value


ByDomain = Annotated[dict[DomainPattern, T], BeforeValidator(_distinct)]
"""Tables by domain or domain pattern: two spellings of one domain are an error."""
