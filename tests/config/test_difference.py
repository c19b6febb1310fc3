"""Diffs of configurations."""

from __future__ import annotations

from sipx.config.difference import changed_keys, difference
from sipx.config.document import Document
from sipx.registry import Registry

TEXT = """\
domains = ["example.com"]
[certificate.main]
pkcs12_file = "a.p12"
pkcs12_password = "OLD"
"""
NAMES = ("old", "new")


def diff(old: str, new: str) -> list[str]:
    return difference(Document.from_text(old), Document.from_text(new), Registry([]), NAMES)


def test_the_same_text_has_no_difference():
    assert diff(TEXT, TEXT) == []


def test_what_changed_is_shown_and_no_secret_beside_it():
    lines = diff(TEXT, TEXT.replace("a.p12", "b.p12"))
    assert lines[:2] == ["--- old", "+++ new"]
    assert '-pkcs12_file = "a.p12"' in lines
    assert '+pkcs12_file = "b.p12"' in lines
    assert ' pkcs12_password = "**********"' in lines


def test_another_secret_is_seen_but_not_shown():
    lines = diff(TEXT, TEXT.replace("OLD", "NEW"))
    assert '-pkcs12_password = "**********"' in lines
    assert '+pkcs12_password = "********** (another)"' in lines
    assert "OLD" not in "".join(lines)
    assert "NEW" not in "".join(lines)


def test_changed_keys_are_those_of_the_tables():
    old = {"a": {"b": 1, "c": [1]}, "d": 1, "e.f": {"g": 1}}
    new = {"a": {"b": 1, "c": [2]}, "d": True, "e.f": {"h": 1}}
    assert changed_keys(old, new) == ["a.c", "d", '"e.f".g', '"e.f".h']
    assert changed_keys(old, old) == []
