"""Civil time without a database says what the database says."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from rules.civil_time import SECOND_NS, day_number, month_day, zone_of
from rules.zones import ZONES


def offsets(text: str, seconds: list[int]) -> list[int]:
    t = np.array(seconds, np.int64) * SECOND_NS
    return [int(x) // SECOND_NS for x in zone_of(text).local(t) - t]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("CET-1CEST,M3.5.0,M10.5.0/3", "Europe/Berlin"),
        ("EST5EDT,M3.2.0,M11.1.0", "America/New_York"),
        ("AEST-10AEDT,M10.1.0,M4.1.0/3", "Australia/Sydney"),
        ("<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", "Australia/Lord_Howe"),
        ("IST-5:30", "Asia/Kolkata"),
        ("<-02>2<-01>,M3.5.0/-1,M10.5.0/0", "America/Nuuk"),
        ("Asia/Shanghai", "Asia/Shanghai"),
        ("+08:00", "Asia/Shanghai"),
    ],
)
def test_a_zone_written_out_is_that_of_the_database(text, name):
    zone, random = ZoneInfo(name), Random(text)
    begin = int(datetime(2025, 1, 1, tzinfo=UTC).timestamp())
    seconds = [begin + random.randrange(10 * 365 * 86_400) for _ in range(2000)]
    for year in range(2025, 2035):  # around every change
        for day in range(1, 366):
            noon = datetime(year, 1, 1, tzinfo=UTC) + timedelta(days=day)
            before, after = noon.astimezone(zone), (noon + timedelta(days=1)).astimezone(zone)
            if before.utcoffset() != after.utcoffset():
                seconds += [int(noon.timestamp()) + s for s in range(0, 86_401, 900)]
    known = [int(datetime.fromtimestamp(s, zone).utcoffset().total_seconds()) for s in seconds]
    assert offsets(text, seconds) == known


@pytest.mark.parametrize("start", ["J60", "59", "J59", "60"])
def test_days_of_the_year_count_leap_days_or_not(start):
    text = f"A0B-1,{start}/0,J300/0"
    for year, leap in ((2027, False), (2028, True)):
        number = int(start.strip("J"))
        if start[0] == "J":
            begin = date(2027, 1, 1) + timedelta(days=number - 1)  # a year without a leap day
            begin = begin.replace(year=year)
        else:
            begin = date(year, 1, 1) + timedelta(days=number)
        at = int(datetime(begin.year, begin.month, begin.day, tzinfo=UTC).timestamp())
        assert offsets(text, [at - 1, at]) == [0, 3600], (year, leap)


@pytest.mark.parametrize("part", range(8))
def test_the_names_of_zones_mean_what_the_database_says(part):
    begin = int(datetime(2026, 11, 1, tzinfo=UTC).timestamp())
    for name in sorted(ZONES)[part::8]:
        zone, random = ZoneInfo(name), Random(name)
        seconds = [begin + random.randrange(3 * 365 * 86_400) for _ in range(60)]
        said = [datetime.fromtimestamp(s, zone).utcoffset() for s in seconds]
        wanted = [round(o.total_seconds()) for o in said if o is not None]
        if name not in ("Africa/Casablanca", "Africa/El_Aaiun"):  # by the moon's calendar
            assert offsets(name, seconds) == wanted, name


def test_days_of_the_year_are_the_calendars():
    first = date(1970, 1, 1)
    days = np.arange(-200_000, 200_000, 97)
    wanted = [(d.month * 100 + d.day) for d in (first + timedelta(days=int(n)) for n in days)]
    assert month_day(days).tolist() == wanted


def test_days_are_numbered_as_the_calendar_does():
    first = date(1970, 1, 1)
    for number in range(-200_000, 200_000, 97):
        assert day_number(str(first + timedelta(days=number))) == number


@pytest.mark.parametrize("text", ["2026-02-29", "2026-13-01", "2026-04-31", "2026-1-1", "", "x"])
def test_what_is_no_date_is_refused(text):
    with pytest.raises(ValueError, match="is no date: write 2026-10-01"):
        day_number(text)


@pytest.mark.parametrize(
    "text",
    ["Europe/Berln", "+8", "+08:75", "8", "CET-1CEST", "CET-1CEST,M13.1.0,M1.1.0", "", "A-999"],
)
def test_what_is_no_zone_is_refused_with_what_to_write(text):
    with pytest.raises(
        ValueError, match=r"write \+08:00|write Asia/Shanghai, \+08:00|month 1-12|hours up to 167"
    ):
        zone_of(text)
