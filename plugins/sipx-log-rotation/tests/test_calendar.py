"""Midnights: daylight saving, days without one, clocks that jump."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo, available_timezones

import pytest
from sipx_log_rotation.calendar import Days, begin_of, day_of, next_midnight

pytestmark = pytest.mark.skipif(
    not available_timezones(), reason="this machine has no time zone data (package tzdata)"
)


def at(text: str) -> float:
    """Seconds of a time in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("zone", "now", "midnight", "hours"),
    [
        ("UTC", "2026-11-25 21:00", "2026-11-26 00:00", 3),
        ("Europe/Berlin", "2026-11-25 22:59:59", "2026-11-25 23:00", 1 / 3600),
        # The clocks go forward at 02:00: 23 hours; back at 03:00: 25.
        ("Europe/Berlin", "2026-03-28 23:00", "2026-03-29 22:00", 23),
        ("Europe/Berlin", "2026-10-24 22:00", "2026-10-25 23:00", 25),
        ("America/New_York", "2026-03-08 05:00", "2026-03-09 04:00", 23),
        ("America/New_York", "2026-11-01 04:00", "2026-11-02 05:00", 25),
        # These days began at 01:00: midnight was skipped.
        ("America/Sao_Paulo", "2018-11-03 03:00", "2018-11-04 03:00", 24),
        ("America/Sao_Paulo", "2018-11-04 03:00", "2018-11-05 02:00", 23),
        ("Asia/Beirut", "2022-03-25 22:00", "2022-03-26 22:00", 24),
        ("Africa/Cairo", "2026-04-23 22:00", "2026-04-24 21:00", 23),
        # The hour before midnight came twice.
        ("America/Sao_Paulo", "2018-02-17 02:00", "2018-02-18 03:00", 25),
        # Midnight came twice; the first one counts.
        ("America/Havana", "2026-10-31 04:00", "2026-11-01 04:00", 24),
        ("America/Havana", "2026-11-01 04:00", "2026-11-02 05:00", 25),
        # The 30th of December was left out.
        ("Pacific/Apia", "2011-12-29 10:00", "2011-12-30 10:00", 24),
        ("Pacific/Apia", "2011-12-30 10:00", "2011-12-31 10:00", 24),
        # Clocks that change by half an hour.
        ("Australia/Lord_Howe", "2026-04-04 13:00", "2026-04-05 13:30", 24.5),
    ],
)
def test_the_next_midnight_is_where_the_date_changes(zone, now, midnight, hours):
    place = ZoneInfo(zone)
    found = next_midnight(at(now), place)
    assert found == at(midnight)
    assert (found - at(now)) / 3600 == pytest.approx(hours, abs=0.0001)
    assert day_of(found, place) > day_of(found - 1, place)


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/Sao_Paulo", "America/St_Johns"])
def test_every_day_of_some_years_ends_once_and_later_than_the_one_before(zone):
    place = ZoneInfo(zone)
    wall = at("2004-12-30 12:00")
    days = Days(place)
    ended = []
    while wall < at("2009-01-02 12:00"):
        if days.ended(wall):
            ended.append(day_of(wall, place))
        wall += 1800
    assert ended == sorted(set(ended))
    assert len(ended) == (date(2009, 1, 2) - date(2004, 12, 30)).days


def test_a_midnight_that_comes_twice_within_an_hour_ends_one_day():
    # In Newfoundland the clocks went from 00:01 back to 23:01.
    place = ZoneInfo("America/St_Johns")
    days = Days(place)
    start = at("2006-10-29 01:00")
    ended = [minute for minute in range(240) if days.ended(start + 60 * minute)]
    assert len(ended) == 1
    assert ended[0] * 60 + start == begin_of(date(2006, 10, 29), place)


def test_without_a_zone_it_is_that_of_the_machine():
    now = datetime.now(UTC).timestamp()
    midnight = next_midnight(now)
    assert datetime.fromtimestamp(midnight).astimezone().date() > day_of(now)
    assert day_of(midnight - 1) == day_of(now)


def test_a_clock_that_jumps_forward_ends_one_day_however_far():
    days = Days(UTC)
    assert not days.ended(at("2026-11-25 12:00"))
    assert days.ended(at("2031-01-01 00:00"))
    assert not days.ended(at("2031-01-01 23:59"))
    assert days.ended(at("2031-01-02 00:00"))


def test_a_clock_that_is_set_back_ends_no_day_and_the_next_midnight_does():
    days = Days(UTC)
    assert not days.ended(at("2031-01-01 12:00"))
    assert not days.ended(at("2026-11-25 23:59:50"))
    assert days.ended(at("2026-11-26 00:00"))


def test_a_process_that_slept_over_midnight_sees_that_the_day_is_over():
    days = Days(UTC)
    assert not days.ended(at("2026-11-25 23:50"))
    assert days.ended(at("2026-11-26 08:00"))
    assert not days.ended(at("2026-11-26 08:01"))
