"""A city under an official warning: what its page, its charts and a back-test say of it."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from ingest.store.past import Span
from lifeline.backtest.run import Version, run
from lifeline.backtest.sources import opened
from lifeline.backtest.tuning import Wanted, _chosen
from lifeline.bulletins.cap_in import read_cap
from lifeline.doctor import examine
from lifeline.new_site import write_new_site
from lifeline.notify import sign
from rules.engine import Engine
from rules.events import decode, encode
from rules.language import compile_plan, load_rules
from rules.readings import Control, Record
from rules.registry_file import registry_of
from tests.lifeline.caps import at, cap, info
from tests.lifeline.small_city import LEVEL, SmallCity, registry_yaml, serving, until
from tests.lifeline.test_backtest import archive_up_to
from tests.lifeline.test_engine_process import SECOND as S
from tests.lifeline.test_engine_process import START_NS, Data

KEY = b"0123456789abcdef-warnings"
RULES = """
version: 1
schedules: {storm: {warning: {hazard: rainstorm, at_least: orange}}}
rules:
- id: ponding
  kind: threshold
  select: {quantity: level}
  unit: m
  above: {yellow: 0.5, red: 1.0}
  hysteresis: 0.05
  for: 0s
  max_gap: 10m
  source: vendor
  when: {storm: {above.yellow: 0.3}}
"""


@pytest.fixture
def city(tmp_path):
    held = SmallCity(tmp_path / "data", rules={"rules.yaml": RULES})
    yield held
    held.close()


def warned(city: SmallCity, raw: bytes) -> None:
    """What the ledger queues for the journal when a message is taken."""
    city.append(Control("warning", read_cap(raw).data() | {"via": "http", "command": "c"}))


def test_an_alarm_under_a_warning_names_it_in_both_languages(city):
    city.send(LEVEL, 0.4, age_s=30)
    warned(city, cap(sent=at(-0.005), infos=[info(sent=at(-0.005))]))
    city.send(LEVEL, 0.4)
    with serving(city.data) as http:
        (alarm,) = until(lambda: http.get("/api/alarms").json()["alarms"])
        words = alarm["words"]
    assert (alarm["rule"], alarm["severity"], alarm["limit"]) == ("ponding", 2, 0.3)
    assert "郑州市气象台暴雨橙色预警（" in words["zh"]["sentence"]
    assert "发布）期间，按从严限值判断" in words["zh"]["sentence"]
    english = words["en"]["sentence"]
    assert "under the orange rainstorm warning of 郑州市气象台, sent " in english


def test_an_alarm_that_returned_still_says_under_which_warning_it_stood(city):
    warned(city, cap(sent=at(-0.02), infos=[info(sent=at(-0.02))]))
    city.send(LEVEL, 0.4, age_s=20)
    warned(city, cap("w-2", kind="Cancel", references=["zz-001"], infos=[], sent=at(-0.003)))
    city.send(LEVEL, 0.4)
    with serving(city.data) as http:
        (alarm,) = until(lambda: http.get("/api/alarms").json()["alarms"])
    assert not alarm["active"]
    assert alarm["limit"] == 0.3
    assert "rainstorm warning" in alarm["words"]["en"]["sentence"]


def test_charts_draw_the_limit_as_it_is_under_the_warning(city):
    city.history(LEVEL, [0.1] * 60)
    with serving(city.data, warnings_key=KEY) as http:
        sent = at(-0.5)
        raw, stamp = cap(sent=sent, infos=[info(sent=sent, lasts_h=0.25)]), int(time.time())
        signed = {"Lifeline-Timestamp": str(stamp), "Lifeline-Signature": sign(KEY, stamp, raw),
                  "Content-Type": "application/cap+xml"}  # fmt: skip
        assert http.post("/api/hooks/warnings", content=raw, headers=signed).status_code == 200
        asked = {"channel": LEVEL, "from": int(time.time() - 3600) * 1000}
        told = until(lambda: http.get("/api/trend", params=asked).json().get("limits"))
    (yellow,) = [each["steps"] for each in told if each["severity"] == 2]
    begin_ms = int(sent.timestamp()) * 1000
    assert [limit for _, limit in yellow] == [0.5, 0.3, 0.5]
    assert [t for t, _ in yellow[1:]] == [begin_ms, begin_ms + 15 * 60_000]


def test_a_back_test_is_what_live_said_also_when_it_begins_within_the_storm(tmp_path):
    (tmp_path / "data").mkdir()
    data = Data(tmp_path / "data", rules=RULES)
    bulletin = read_cap(cap(sent=at(0)))
    bulletin = replace(bulletin, sent_ns=START_NS, onset_ns=START_NS,
                       expires_ns=START_NS + 2000 * S)  # fmt: skip
    for number in range(60):
        if number == 10:
            data.journal.append(Control("warning", bulletin.data() | {"via": "feed"}))
        data.send(LEVEL, 0.4 if number % 5 else 0.1)
        data.tick(29)
    end = data.journal.durable_offset
    data.journal.close()
    with opened(data=data.folder) as past:
        lived = past.read(Span())
        records = [p.control for p in lived if p.control is not None]
    assert [r.body.type for r in records] == ["registry", "rules", "warning"]
    plan = compile_plan(load_rules({"rules.yaml": RULES}), data.registry)[0]
    for share in (0.0, 0.7, 1.0):
        archive_up_to(data, int(end * share), roll=9, fan_in=4)
        whole = lines_of(data, tmp_path, 0)
        assert sum(b'"warning"' in line for line in whole) > 10
        middle = START_NS + 900 * S
        later = lines_of(data, tmp_path, middle)
        raised = [decode(line) for line in later]
        assert raised
        assert all(e.evidence["warning"]["hazard"] == "rainstorm" for e in raised
                   if e.rule == "ponding" and e.event_ns < bulletin.expires_ns)  # fmt: skip
    with opened(data=data.folder) as past:
        engine, again = Engine(plan, data.registry), []
        for piece in past.read(Span()):
            if piece.control is not None:
                again += engine.fold([Record(piece.control.offset, piece.control.body)])
            else:
                again += engine.fold_columns(piece.columns, piece.blocks)
    assert [encode(e) for e in again] == whole


def test_a_rule_with_a_storm_mode_is_tuned_as_it_usually_is(tmp_path):
    """What moves by the clock is a person's to tune; what a warning moves is seldom."""
    registry = registry_of({"city.yaml": registry_yaml(simulation=False)})
    night = RULES.replace("{warning: {hazard: rainstorm, at_least: orange}}",
                          '{times: [["22:00", "06:00"]], timezone: Asia/Shanghai}')  # fmt: skip
    for text, kept in ((RULES, ["ponding"]), (night, [])):
        rules = load_rules({"rules.yaml": text})
        chosen, passed_over = _chosen(
            Wanted(rules=rules, span=Span()), compile_plan(rules, registry)[0]
        )
        assert list(chosen) == kept
        assert ("by the hour" in passed_over.get("ponding", "")) is (not kept)


def lines_of(data: Data, tmp_path, from_ns: int) -> list[bytes]:
    out = tmp_path / "lines.jsonl"
    with opened(data=data.folder, from_ns=from_ns) as past, out.open("wb") as lines:
        version = Version(load_rules({"rules.yaml": RULES}), past, lines=lines)
        run(past, [version], Span(from_ns=from_ns))
    return out.read_bytes().splitlines()


def test_the_doctor_names_rules_whose_warnings_no_way_brings(tmp_path):
    folder = tmp_path / "city"
    write_new_site(folder)
    gas = RULES.replace("quantity: level", "quantity: ch4").replace("unit: m", 'unit: "%{vol}"')
    (folder / "rules" / "storm.yaml").write_text(gas, encoding="utf-8")
    (told,) = [each for each in examine(folder) if each.what == "storm mode"]
    assert told.state == "note"
    assert "ponding ask for official warnings" in told.found
    (folder / "secret").write_text("0123456789abcdef")
    (folder / "secret").chmod(0o600)
    with (folder / "city.toml").open("a", encoding="utf-8") as file:
        file.write('\n[warnings]\nsecret_file = "secret"\n')
    assert not [each for each in examine(folder) if each.what == "storm mode"]
