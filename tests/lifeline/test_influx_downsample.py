"""`lifeline influx downsample`: the tasks' own windows, over a time that is given."""

import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from lifeline.influx.layout import AGGREGATES
from tests import influx_two
from tests.lifeline.test_influx_setup import City

BEGIN = (datetime.now(UTC) - timedelta(days=3)).replace(hour=8, minute=17, second=30, microsecond=0)


@pytest.fixture
def city(tmp_path):
    with influx_two.running() as server:
        made = City(tmp_path, server)
        assert made.run("setup")[0] == 0
        yield made


def spans(server, target):
    """Return (start, stop) of the queries that write to a bucket."""
    found = []
    for text in server.queries:
        if f'to(bucket: "{target}")' in text:
            times = re.search(r"^start = (\S+)\nstop = (\S+)\n", text)
            found.append((datetime.fromisoformat(times[1]), datetime.fromisoformat(times[2])))
    return found


def run(city, begin, end):
    return city.run("downsample", "--from", begin.isoformat(), "--to", end.isoformat())


def test_whole_windows_are_made_piece_by_piece_without_a_gap(city):
    city.server.written = 42
    code, lines = run(city, BEGIN, BEGIN + timedelta(hours=30))
    assert code == 0, lines
    for target, unit, step in (
        ("lifeline_1m", timedelta(minutes=1), timedelta(hours=1)),
        ("lifeline_1h", timedelta(hours=1), timedelta(days=1)),
    ):
        made = spans(city.server, target)
        assert made[0][0] <= BEGIN < made[0][0] + unit
        assert made[-1][1] - unit < BEGIN + timedelta(hours=30) <= made[-1][1]
        assert all(one[1] == two[0] for one, two in pairwise(made))
        assert all(stop - start <= step for start, stop in made)
    assert lines[0] == (
        f"bucket lifeline_1m: {BEGIN:%Y-%m-%d}T08:17Z to {BEGIN:%Y-%m-%d}T09:17Z: 42 windows"
    )
    assert len(lines) == len(city.server.queries) == 31 + 2


def test_what_is_made_is_what_the_task_makes(city):
    run(city, BEGIN, BEGIN + timedelta(minutes=5))
    task = city.server.task("lifeline_1m")["flux"]
    asked = city.server.queries[0]
    readings = task[task.index("readings = ()") : task.index("readings()\n")]
    assert readings in asked
    for name in AGGREGATES:
        made = re.search(rf"readings\(\)\n.*fn: {name},(.|\n)*?to\(bucket: .*\)\n", task)[0]
        assert made in asked
    assert "option task" not in asked
    assert asked.count("|> yield(") == len(AGGREGATES)


def test_an_open_window_is_left_to_the_task(city):
    now = datetime.now(UTC)
    code, lines = run(city, now - timedelta(minutes=3), now + timedelta(days=1))
    assert code == 0, lines
    assert spans(city.server, "lifeline_1m")[-1][1] <= datetime.now(UTC)
    code, lines = run(city, now + timedelta(hours=2), now + timedelta(hours=3))
    assert (code, len(lines)) == (2, 1)
    assert "no whole minute is over" in lines[0]


def test_a_missing_bucket_and_a_token_without_rights_say_what_to_do(city):
    wanted = city.server.bucket("lifeline_1h")
    wanted["name"] = "away"
    code, lines = run(city, BEGIN, BEGIN + timedelta(minutes=5))
    assert code == 2
    assert 'could not find bucket "lifeline_1h"' in lines[0]
    wanted["name"] = "lifeline_1h"
    city.admin.write_text(city.store_token + "\n")
    code, lines = run(city, BEGIN, BEGIN + timedelta(minutes=5))
    assert code == 2
    assert "must be an all-access token of the org" in lines[0]


def test_without_tasks_there_are_no_minutes_to_make(city):
    city.more("down_sample = false\n")
    code, lines = run(city, BEGIN, BEGIN + timedelta(minutes=5))
    assert code == 2
    assert "down_sample = false" in lines[0]


def test_readings_that_are_gone_make_no_poorer_windows(city):
    begin = BEGIN - timedelta(days=100)
    code, lines = run(city, begin, begin + timedelta(minutes=5))
    assert code == 2
    assert "are gone from lifeline (keep)" in lines[0]
    assert city.server.queries == []
