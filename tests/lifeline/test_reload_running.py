"""Reloads of a whole running city: what is kept, what ends, what is refused, what is replayed."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time

import pytest

from ingest.journal import socket_address
from lifeline.engine_process import SiteTexts, empty_site
from lifeline.reload.asked import reloading
from lifeline.torture.processes import until
from lifeline.torture.site import MODULES, RULES, registry_text
from rules.engine import Engine
from rules.engine.snapshot import from_bytes, to_bytes
from rules.events import EventType
from rules.readings import Control, Readings, texts_named
from tests.reload_city import ReloadCity, event_lines, folded, fresh, kill, records_of
from tests.terminal import lifeline

FIRST, SECOND = MODULES
HOLE, OTHER_HOLE = "410100-gas-mh-000002", "410100-gas-mh-000003"
COSMETIC = RULES.replace('message: "{{ asset.name }}: {{ value }}"', 'message: "gas {{ value }}"')
RAISED_LIMIT = RULES.replace("{blue: 0.5, yellow: 1.0,", "{blue: 0.6, yellow: 1.0,")
BROKEN = RULES.replace("kind: deadman", "kind: deadmen")
assert len({RULES, COSMETIC, RAISED_LIMIT, BROKEN}) == 4


@pytest.fixture(scope="module")
def city(tmp_path_factory):
    with ReloadCity(tmp_path_factory.mktemp("reload")) as held:
        yield held


@pytest.fixture(autouse=True)
def calm(city):
    """Every test begins with the first rules and quiet modules, and nothing refused."""
    city.write_rules(RULES)
    assert city.reload()[0] == 0
    for level in city.levels.values():
        level.update({1: 0.2, 2: 0.2})
    until(lambda: {a["rule"] for a in city.alarms(active=True)} <= {"silent"}, "calm")


def standing(city, channel: str = "ch4-02") -> dict:
    """Raise an alarm of the slow rule on the first hole."""
    city.levels[FIRST][2 if channel == "ch4-02" else 1] = 0.7
    return city.alarm(rule="ch4-slow", subject=f"{HOLE}/{channel}/vol", active=True)


def test_an_acknowledged_alarm_stays_acknowledged_over_a_cosmetic_edit(city):
    alarm = standing(city)
    assert lifeline("alarms", "ack", alarm["id"], city.data, "--by", "Li").returncode == 0
    until(lambda: city.alarms(id=alarm["id"], acked=True), "the acknowledgement")
    city.write_rules(COSMETIC)
    code, told, said = city.reload()
    assert code == 0
    assert told["result"] == "applied"
    assert {rule["what"] for rule in told["rules"]} == {"kept"}
    assert told["alarms_ending"] == []
    assert "确认保留" in said
    until(lambda: "Gas 0.70" in str(city.alarms(id=alarm["id"])), "the new words")
    time.sleep(0.5)  # readings go on
    (still,) = city.alarms(id=alarm["id"])
    assert (still["active"], still["acked"], still["acked_by"]) == (True, True, "Li")


def test_a_changed_limit_ends_its_alarms_by_name_and_raises_anew(city):
    alarm = standing(city)
    city.write_rules(RAISED_LIMIT)
    _, dry, _ = city.reload("--check")
    assert dry["result"] == "checked"
    assert dry["alarms_ending"] == [alarm["id"]]
    sites = city.sites()
    assert city.alarms(id=alarm["id"], active=True), "a check changes nothing"
    _, told, _ = city.reload()
    assert [r["rule"] for r in told["rules"] if r["what"] == "changed"] == ["ch4-slow"]
    assert {k: v for k, v in told.items() if k not in ("result", "offset")} == {
        k: v for k, v in dry.items() if k not in ("result", "offset")
    }
    assert len(city.sites()) == len(sites) + 1
    until(lambda: not city.alarms(id=alarm["id"], active=True), "the old alarm's end")
    again = city.alarm(rule="ch4-slow", subject=alarm["subject"], active=True)
    assert again["id"] != alarm["id"]
    ended = [e for e in city.events() if e.type is EventType.RULE_CHANGED]
    assert [e.alarm_id for e in ended if e.offset == told["offset"]] == [alarm["id"]]


def test_the_same_reload_again_changes_nothing_and_says_so(city):
    before = city.sites()
    code, told, said = city.reload()
    assert (code, told["result"], told["offset"]) == (0, "unchanged", None)
    assert "nothing changed" in said
    assert "无变化" in said
    assert city.sites() == before


def test_a_broken_file_is_refused_whole_and_the_old_rules_still_raise(city):
    counted, held = city.reloads(), city.sites()
    city.write_rules(BROKEN)
    city.write_registry(registry_text().replace("name: hole 3", "name: hole three"))
    try:
        code, told, said = city.reload()
        assert (code, told["result"]) == (2, "refused")
        (problem,) = [p for p in told["problems"] if p["severity"] == "error"]
        line = BROKEN[: BROKEN.index("deadmen")].count("\n") + 1
        assert (problem["file"], problem["line"], problem["rule"]) == ("all.yaml", line, "silent")
        assert f"all.yaml:{line}:9: " in said
        checked = lifeline("rules", "check", city.site).stderr
        assert f"all.yaml:{line}:9: " in checked, "the same words as lifeline rules check"
        assert city.sites() == held, "the registry's part was not taken either"
        assert city.reloads()["refused"] == counted["refused"] + 1
        for word in ("deadmen", "规则重载被拒绝", "reload refused"):
            assert word in city.problems()["reload"]
        doctor = lifeline("doctor", city.site, "--data", city.data).stdout
        assert "reload refused" in doctor
        assert standing(city)["active"]
    finally:
        city.write_rules(RULES)
        city.write_registry(registry_text())
    assert city.reload()[1]["result"] == "unchanged"
    assert "reload" not in city.problems()


def test_the_page_reloads_and_refuses_with_the_list(city):
    city.write_rules(BROKEN.replace("fail_loud: true", "fail_loud: maybe"))
    answer = city.http.post("/api/reload", json={"by": "Li"})
    assert answer.status_code == 422
    problems = answer.json()["error"]["problems"]
    assert {p["rule"] for p in problems} == {"ch4-loud", "silent"}
    assert all(p["file"] == "all.yaml" and p["line"] and p["column"] for p in problems)
    city.write_rules(COSMETIC)
    assert city.http.post("/api/reload", json={"by": ""}).status_code == 422
    dry = city.http.post("/api/reload", json={"by": "Li", "check": True})
    assert dry.json()["result"] == "checked"
    done = city.http.post("/api/reload", json={"by": "Li"}).json()
    assert done["result"] == "applied"
    (record,) = [r for r in city.records() if r.offset == done["offset"]]
    assert texts_named(record.body) == done["after"]
    assert (record.body.data["by"], record.body.data["how"]) == ("Li", "page")
    stranger = city.http.post("/api/reload", json={"by": "x"}, headers={"origin": "http://evil"})
    assert stranger.status_code == 403


def test_sighup_reloads(city):
    alarm = standing(city)
    city.write_rules(RAISED_LIMIT)
    city.run.send_signal(signal.SIGHUP)
    until(lambda: not city.alarms(id=alarm["id"], active=True), "the old alarm's end")
    (last, *_) = [r.body for r in reversed(city.records()) if isinstance(r.body, Control)]
    assert last.data["how"] == "signal"
    counted = city.reloads()
    city.write_rules(BROKEN)
    city.run.send_signal(signal.SIGHUP)
    until(lambda: city.reloads()["refused"] == counted["refused"] + 1, "the refusal is counted")
    assert "deadmen" in city.problems()["reload"]
    assert city.run.poll() is None


def test_a_new_channel_and_the_rule_for_it_come_in_one_record(city):
    """Alone, neither would do: the rule is for a quantity only the new channel has."""
    new = (
        f"  {{id: co-01, device: {FIRST}, channels: [{{id: ppm, quantity: co, "
        'unit: "[ppm]", port: 3, range: [0, 500], resolution: 1, every: 1s, class: safety}]},\n'
    )
    at = registry_text().index("  {id: ch4-01, device: " + FIRST)
    city.write_registry(registry_text()[:at] + new + registry_text()[at:])
    city.write_rules(
        RULES + "- id: co-level\n  kind: threshold\n  select: {quantity: co}\n"
        '  unit: "[ppm]"\n  above: {red: 100}\n  max_gap: 3s\n'
    )
    before = len(city.sites())
    _, told, _ = city.reload()
    assert told["channels_added"] == [f"{HOLE}/co-01/ppm"]
    assert [r["rule"] for r in told["rules"] if r["what"] == "added"] == ["co-level"]
    assert {r["what"] for r in told["rules"]} == {"added", "kept"}
    assert len(city.sites()) == before + 1
    city.levels[FIRST][3] = 300.0
    try:
        assert city.alarm(rule="co-level", active=True)["severity"] == 4
    finally:
        del city.levels[FIRST][3]
        city.write_registry(registry_text())
    city.write_rules(RULES)
    _, told, _ = city.reload()
    assert told["channels_removed"] == [f"{HOLE}/co-01/ppm"]
    assert [r["rule"] for r in told["rules"] if r["what"] == "removed"] == ["co-level"]
    assert len(told["alarms_ending"]) == 1


def test_a_process_that_falls_while_the_folder_is_broken_goes_on_with_what_held(city):
    city.write_rules(BROKEN)
    held, pid = city.sites(), city.pid_of("ingest")
    kill(pid)
    until(lambda: city.pid_of("ingest") not in (None, pid), "ingest again", timeout_s=30)
    kept = [len(module.kept) for module in city.modules]
    until(lambda: all(len(m.kept) > k for m, k in zip(city.modules, kept, strict=True)), "data")
    assert city.sites() == held
    assert standing(city)["active"]


def test_killed_between_the_texts_and_the_record_nothing_has_changed(city):
    """A listener in ingest's place takes the line and never answers; then the reload is killed."""
    city.write_rules(RULES.replace("red: 2.5", "red: 2.75"))
    held = city.sites()
    real, aside = city.data / "run" / "control.sock", city.data / "run" / "control.aside"
    stored = set((city.data / "rules").iterdir())
    real.rename(aside)
    with socket.socket(socket.AF_UNIX) as deaf:
        with socket_address(real) as address:
            deaf.bind(address)
        deaf.listen()
        words = ["reload", "--site", str(city.site), "--data", str(city.data)]
        with subprocess.Popen([sys.executable, "-m", "lifeline", *words]) as asking:
            heard, _ = deaf.accept()
            line = heard.makefile("rb").readline()
            asking.kill()
        heard.close()
    aside.rename(real)
    named = json.loads(line)["data"]
    (text,) = set((city.data / "rules").iterdir()) - stored
    assert text.stem == named["rules"], "the text lay there before it was named"
    assert city.sites() == held
    code, told, _ = city.reload()
    assert (code, told["result"], told["after"]["rules"]) == (0, "applied", named["rules"])


def test_a_watched_folder_is_reloaded_when_it_compiles_and_not_before(city):
    counted, held = city.reloads(), len(city.sites())
    with reloading(city.site, city.data, watched=(city.site / "rules",)):
        time.sleep(0.5)  # until it looks
        city.write_rules(BROKEN)
        until(lambda: city.reloads()["refused"] > counted["refused"], "the refusal is counted")
        assert len(city.sites()) == held
        city.write_rules(RAISED_LIMIT)
        until(lambda: len(city.sites()) == held + 1, "the reload")
    (last, *_) = [r.body for r in reversed(city.records()) if isinstance(r.body, Control)]
    assert last.data["how"] == "watch"
    assert "reload" not in city.problems()


def cuts(records, sizes):
    """Return the records in batches of these sizes, over and over."""
    begin = number = 0
    while begin < len(records):
        size = sizes[number % len(sizes)]
        yield records[begin : begin + size]
        begin, number = begin + size, number + 1


def test_at_any_cut_and_restart_the_replay_gives_the_live_event_log(tmp_path):
    """A life of its own: reloads in traffic, then the journal folded anew in many ways."""
    texts = [RULES, RAISED_LIMIT, COSMETIC, RAISED_LIMIT, RULES]
    with ReloadCity(tmp_path) as city:
        for number, text in enumerate(texts):
            city.write_rules(text)
            assert city.reload()[0] == 0
            city.levels[FIRST].update({1: 3.0 if number % 2 else 0.7, 2: 0.7})
            city.levels[SECOND].update({1: 0.2 if number % 2 else 1.3, 2: 1.1})
            time.sleep(0.7)
    records, logged = records_of(city.data), event_lines(city.data)
    changes = [r.offset for r in records if isinstance(r.body, Control)]
    assert len(changes) == 5, "the first texts were no change"
    assert sum(isinstance(r.body, Readings) for r in records) > 20
    types = {e.type for e in city.events()}
    assert {EventType.RAISED, EventType.RULE_CHANGED, EventType.CONFIRMED} <= types
    assert folded(fresh(city.data), records) == logged
    for sizes in ([1], [7], [1, 2, 40], [len(records)]):
        engine = fresh(city.data)
        assert [x for part in cuts(records, sizes) for x in folded(engine, part)] == logged
    near = {o + step for o in changes for step in (-1, 0, 1)}
    told: list[bytes] = []
    texts_now = SiteTexts(city.data)
    engine = Engine(*empty_site(), resolve=texts_now.resolve)
    for record in records:
        told += folded(engine, [record])
        if record.offset in near:
            state = from_bytes(to_bytes(engine.snapshot()))
            engine = Engine(*(texts_now.load() or empty_site()), resolve=texts_now.resolve)
            assert engine.restore(state) == []
    assert told == logged
