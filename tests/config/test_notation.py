"""Paths and values as TOML writes them."""

from __future__ import annotations

import tomllib
from datetime import date, datetime, time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sipx.config.notation import dotted, parse_path, parse_value, toml_value

TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)
VALUES = st.recursive(
    st.integers(-(2**63), 2**63 - 1)
    | st.booleans()
    | st.floats(allow_nan=False)
    | TEXT
    | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(VALUES)
def test_a_value_is_read_as_it_was_written(value):
    written = toml_value(value)
    assert "\n" not in written
    assert parse_value(written) == value
    assert repr(tomllib.loads(f"a = {written}")["a"]) == repr(value)


@pytest.mark.parametrize("value", [2**63, object(), None, {"a": None}, "\udc80"])
def test_what_toml_has_not_is_refused(value):
    with pytest.raises(ValueError, match=r"TOML|UTF-8"):
        toml_value(value)


def test_dates_and_times_are_values():
    for value in (date(2026, 1, 2), time(3, 4, 5), datetime(2026, 1, 2, 3, 4, 5)):
        assert parse_value(toml_value(value)) == value


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(TEXT, min_size=1, max_size=4), st.integers(0, 999))
def test_a_path_is_read_as_it_was_written(names, number):
    assert parse_path(dotted((*names, number))) == (*names, number)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("wan.public_port", ("wan", "public_port")),
        ('static-routes.route."a.b".server[1]', ("static-routes", "route", "a.b", "server", 1)),
        ("a.'*.b'.c", ("a", "*.b", "c")),
        ("route.*", ("route", "*")),
        ("a . b", ("a", "b")),
    ],
)
def test_paths_may_be_written_as_in_toml(text, path):
    assert parse_path(text) == path


@pytest.mark.parametrize("text", ["", ".", "a.", "a..b", "a[", "a[x]", "a=1", '"a', '"\\q"', "a b"])
def test_what_is_no_path_is_refused(text):
    with pytest.raises(ValueError, match="no key"):
        parse_path(text)


@pytest.mark.parametrize("text", ["", "yes", "1, 2", "1\nother = 2", "[1", "a b"])
def test_what_is_no_value_is_refused(text):
    with pytest.raises(ValueError, match=r"\w"):
        parse_value(text)
