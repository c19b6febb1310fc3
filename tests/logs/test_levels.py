from __future__ import annotations

import logging

import pytest

from sipx.logs import TRACE, area_of
from sipx.logs.levels import Levels, name_of

NEAR = logging.getLogger("sipx.test.near")
FAR = logging.getLogger("sipx.test.far")


@pytest.fixture
def levels(clock):
    made = Levels(clock)
    made.configure("warning", {})
    yield made
    made.restore()


def _of(levels, area):
    return next(found for found in levels.areas() if found.area == area)


@pytest.mark.parametrize(
    ("name", "area"),
    [
        ("proxy", "sipx.proxy"),
        ("sipx.proxy", "sipx.proxy"),
        ("sipx", "sipx"),
        ("plugin.static-routes", "sipx.plugin.static-routes"),
        ("sipxy", "sipx.sipxy"),
    ],
)
def test_an_area_may_be_named_without_sipx(name, area):
    assert area_of(name) == area


@pytest.mark.parametrize("name", ["", "a b", "a..b", ".a", "a.", "sipx.", "ä", "a\nb"])
def test_what_is_no_name_of_a_logger_is_no_area(name):
    with pytest.raises(ValueError, match="is no area"):
        area_of(name)


def test_the_levels_of_the_file_count_for_an_area_and_what_is_below_it(levels):
    levels.configure("error", {"test": "debug", "sipx.test.far": "trace"})
    assert NEAR.isEnabledFor(logging.DEBUG)
    assert not NEAR.isEnabledFor(TRACE)
    assert FAR.isEnabledFor(TRACE)
    assert not logging.getLogger("sipx.other").isEnabledFor(logging.WARNING)


def test_an_area_that_the_file_names_no_longer_has_the_level_above_again(levels):
    levels.configure("warning", {"test.near": "debug"})
    assert levels.configure("warning", {})
    assert NEAR.level == logging.NOTSET
    assert not NEAR.isEnabledFor(logging.INFO)


def test_a_change_with_an_end_goes_back_by_itself(levels, clock):
    levels.change("sipx.test.near", "trace", 600)
    assert NEAR.isEnabledFor(TRACE)
    assert levels.due() == clock.seconds + 600
    clock.seconds += 599
    assert levels.end_changes() == ()
    assert _of(levels, "sipx.test.near").left == pytest.approx(1)
    clock.seconds += 1
    assert levels.end_changes() == ("sipx.test.near",)
    assert not NEAR.isEnabledFor(logging.INFO)
    assert levels.due() is None


def test_a_change_that_ends_leaves_the_level_of_the_file(levels, clock):
    levels.configure("warning", {"test.near": "info"})
    levels.change("sipx.test.near", "trace", 1)
    clock.seconds += 2
    levels.end_changes()
    assert NEAR.level == logging.INFO


def test_another_change_replaces_the_one_before_with_its_end(levels, clock):
    levels.change("sipx.test.near", "trace", 10)
    levels.change("sipx.test.near", "debug", None)
    clock.seconds += 20
    assert levels.end_changes() == ()
    assert NEAR.level == logging.DEBUG


def test_a_new_file_ends_changes_without_an_end_and_no_others(levels, clock):
    levels.change("sipx.test.near", "trace", None)
    levels.change("sipx.test.far", "debug", 60)
    assert levels.configure("error", {})
    assert not NEAR.isEnabledFor(logging.WARNING)
    assert FAR.isEnabledFor(logging.DEBUG)
    clock.seconds += 60
    levels.end_changes()
    assert not FAR.isEnabledFor(logging.WARNING)


def test_the_same_file_again_ends_nothing(levels):
    levels.change("sipx.test.near", "trace", None)
    assert not levels.configure("warning", {})
    assert NEAR.isEnabledFor(TRACE)


def test_every_area_is_listed_with_its_level_and_where_it_comes_from(levels):
    levels.configure("warning", {"test.far": "error", "never-logged": "info"})
    levels.change("sipx.test.near", "trace", 60)
    assert (_of(levels, "sipx").level, _of(levels, "sipx").by) == ("warning", "file")
    assert (_of(levels, "sipx.test.far").level, _of(levels, "sipx.test.far").by) == (
        "error",
        "file",
    )
    near = _of(levels, "sipx.test.near")
    assert (near.level, near.by, near.left) == ("trace", "change", 60)
    assert _of(levels, "sipx.never-logged").level == "info"
    assert _of(levels, "sipx.proxy").by == ""
    areas = [found.area for found in levels.areas()]
    assert areas == sorted(set(areas))


def test_all_loggers_are_left_as_they_were(levels):
    NEAR.setLevel(logging.CRITICAL)
    levels.change("sipx.test.near", "trace", None)
    levels.configure("trace", {"test.far": "debug"})
    levels.restore()
    assert (NEAR.level, FAR.level) == (logging.CRITICAL, logging.NOTSET)
    NEAR.setLevel(logging.NOTSET)


@pytest.mark.parametrize(
    ("number", "name"),
    [(5, "trace"), (0, "trace"), (10, "debug"), (25, "info"), (50, "error")],
)
def test_a_number_has_a_word(number, name):
    assert name_of(number) == name
