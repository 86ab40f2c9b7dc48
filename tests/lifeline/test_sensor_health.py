"""Which sensors are to be doubted: late by the engine's own verdict, marked, or not heard of."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from ingest.journal import EventLines
from lifeline.people.roles import Scope
from rules.events import Event, EventType, encode
from rules.readings import Readings, Tick
from tests.lifeline.browser_kit import page_of
from tests.lifeline.people_kit import add, log_in
from tests.lifeline.small_city import (
    GAS,
    LEVEL,
    OTHER_GAS,
    RULES,
    SECOND,
    SmallCity,
    serving,
    until,
)
from tests.lifeline.test_accessible import faults


@pytest.fixture
def city(tmp_path):
    owners = {GAS.split("/")[0]: "north", OTHER_GAS.split("/")[0]: "south"}
    held = SmallCity(tmp_path / "data", owners=owners)
    yield held
    held.close()


def health(http) -> dict:
    answer = http.get("/api/sensor-health")
    assert answer.status_code == 200, answer.text
    return answer.json()


def spoil(city) -> None:
    """One channel late twice, one suspect, one failed and then good, one hours without a word."""
    city.send(GAS, 0.1, age_s=5)
    city.send(GAS, 0.1, age_s=60)
    city.send(GAS, 0.1, age_s=50)
    city.send(OTHER_GAS, 0.1, qc_flag=[3])
    city.send(LEVEL, 0.1, age_s=20, qc_flag=[4])
    city.send(LEVEL, 0.1)


def test_each_is_told_with_its_cause_and_its_times(city):
    spoil(city)
    with serving(city.data) as http:
        told = until(lambda: (h := health(http))["late"]["total"] and h)
        (late,) = told["late"]["listed"]
        assert (late["id"], late["count"], late["why"]) == (GAS, 2, "late")
        assert late["received_ms"] - late["measured_ms"] == pytest.approx(50_000, abs=1_000)
        (bad,) = told["bad"]["listed"]
        assert (bad["id"], bad["why"]) == (OTHER_GAS, "suspect")
        assert bad["name"]["zh"] == "桐柏路124号井"
        pulse = http.get("/api/state").json()["health"]
        assert (pulse["late"], pulse["bad"], pulse["lag_s"]) == (1, 1, 0.0)
        assert {reader["reader"] for reader in told["readers"]} >= {"ledger", "serve"}
        city.send(OTHER_GAS, 0.1)
        until(lambda: health(http)["bad"]["total"] == 0)


def test_a_channel_that_stays_away_is_bad_until_its_device_is_told_as_silent(tmp_path):
    rules = {"rules.yaml": RULES.replace("missing: {yellow: 1h}", "missing: {yellow: 5m}")}
    city = SmallCity(tmp_path / "data", begun_s=600, rules=rules)
    row, at = city.registry.channel_row[GAS], city.now_ns
    columns = {"channel": [row], "device": [int(city.registry.channels.device[row])]}
    city.append(Readings.of({**columns, "judged_ns": [at], "receive_ns": [at], "value": [0.1]}))
    try:
        with serving(city.data) as http:
            (bad,) = until(lambda: health(http)["bad"]["listed"])
            assert (bad["id"], bad["why"]) == (GAS, "old")
            for n in range(1, 80):  # closer than what makes us blind
                city.append(Tick(at + n * 5 * SECOND))
            told = until(lambda: (h := health(http))["silent"]["total"] and h)
            assert GAS.split("/")[0] in [each["id"] for each in told["silent"]["listed"]]
            until(lambda: http.get("/api/state").json()["silent"])
            until(lambda: health(http)["bad"]["total"] == 0)
    finally:
        city.close()


def test_what_waits_to_be_judged_is_lag_in_seconds(city):
    with serving(city.data) as http:
        until(lambda: http.get("/api/state").json()["health"]["lag_s"] == 0.0)
        city.journal.append(Tick(city.now_ns + SECOND))  # nobody folds it
        city.journal.commit()
        until(lambda: (http.get("/api/state").json()["health"]["lag_s"] or 0) > 0.5)


def test_blind_times_are_listed_newest_first(city):
    with serving(city.data) as http:
        for begin in (100, 200):
            event = Event(
                type=EventType.BLIND,
                offset=city.journal.next_offset,
                row=begin,
                onset_ns=begin * SECOND,
                event_ns=(begin + 30) * SECOND,
                receive_ns=(begin + 30) * SECOND,
            )
            lines = EventLines(through=city.journal.next_offset, lines=(encode(event),))
            city.events.append(lines)
            city.events.commit()
        told = until(lambda: len(h := health(http)["blinds"]) == 2 and h)
        assert [each["from_ms"] for each in told] == [200_000, 100_000]


def test_whoever_sees_a_part_is_told_of_no_sensor_of_others(city):
    spoil(city)
    add(city.data, "south", "viewer", scope=Scope(owners=frozenset({"south"})))
    with serving(city.data, ready="/login") as http:
        log_in(http, "south")
        told = until(lambda: (h := health(http))["bad"]["total"] and h)
        assert [each["id"] for each in told["bad"]["listed"]] == [OTHER_GAS]
        assert told["late"] == {"total": 0, "listed": []}
        pulse = http.get("/api/state").json()["health"]
        assert (pulse["late"], pulse["bad"]) == (0, 1)


@pytest.mark.real
@pytest.mark.parametrize(
    ("locale", "strip", "title"),
    [
        ("en-US", "0 silent · 1 late · 1 bad · lag 0 s · 0 × blind", "Health of the sensors"),
        ("zh-CN", "失联 0 台 · 迟到 1 个 · 异常 1 个 · 滞后 0 秒 · 监测中断 0 次", "传感器与系统"),
    ],
)
def test_the_strip_leads_to_the_sensor_by_keyboard_alone(browser, city, locale, strip, title):
    spoil(city)
    with serving(city.data) as http, page_of(browser, http.base_url, locale=locale) as page:
        expect(page.locator("#health-button")).to_have_text(strip)
        page.keyboard.press("u")
        box = page.locator("#health")
        expect(box).to_contain_text(title)
        expect(box.locator("#lateOf-list button")).to_be_focused()
        assert faults(page) == []
        page.keyboard.press("Tab")
        expect(box.locator("#badOf-list button")).to_be_focused()
        page.keyboard.press("Enter")
        expect(box).to_be_hidden()
        expect(page.locator("#selected")).to_contain_text(OTHER_GAS)
        expect(page.locator("#trend svg.main-svg").first).to_be_visible()
        page.keyboard.press("u")
        expect(box).to_be_visible()
        page.keyboard.press("Escape")
        expect(box).to_be_hidden()
