"""Rules on the past: the same events as live, and figures that can be checked by hand."""

from __future__ import annotations

import hashlib
import json
import subprocess
import threading
import time
from datetime import UTC, datetime

import numpy as np
import pytest
from typer.testing import CliRunner

from ingest.store import archive
from ingest.store.past import Span, archived, of_records
from lifeline.backtest.run import Version, run
from lifeline.backtest.score import ALL
from lifeline.backtest.sources import opened
from lifeline.backtest.versions import rules_of
from lifeline.cli.app import app
from lifeline.engine_process import run_engine
from lifeline.errors import Missing
from lifeline.packs import copy_packs
from lifeline.simulate import record_scenario
from rules.language import load_rules
from rules.readings import Tick
from simulators.recording import event_log, export, replay
from tests.lifeline.small_city import GAS, LEVEL, RULES, registry_yaml
from tests.lifeline.test_engine_process import Data

CALM, ALARM = 0.1, 2.0


def live(data: Data, *, records: int = 400) -> list[bytes]:
    """Fill a data folder and let the real engine fold it; return its event log."""
    random = np.random.default_rng(11)
    for number in range(records):
        if number % 4 == 3:
            data.tick(random.integers(1, 40))
            continue
        channel = (GAS, LEVEL)[number % 2]
        high = number % 60 > 40
        data.send(channel, *random.normal(ALARM if high else CALM, 0.3, random.integers(1, 5)))
        if number % 50 == 49:
            data.sequence -= 1  # the same message once more
    stop = threading.Event()
    engine = threading.Thread(target=run_engine, kwargs={"data": data.folder, "stop": stop})
    engine.start()
    end = data.journal.durable_offset
    until = time.monotonic() + 60
    cursor = data.folder / "cursors" / "engine"
    while time.monotonic() < until:
        if cursor.exists() and archive.Cursor.load(cursor).offset >= end:
            break
        time.sleep(0.05)
    stop.set()
    engine.join(30)
    return data.lines()


def archive_up_to(data: Data, offset: int, *, roll: int, fan_in: int) -> None:
    """Archive the journal below an offset, in files of so many records that are compacted."""
    limits = archive.ArchiveLimits(fan_in=fan_in)
    writer = archive.Archive(data.folder / "archive", channels=4, limits=limits)
    with archive.Follower(data.folder / "journal", start=0)._reader as reader:
        while writer.manifest.next_offset < offset:
            records = reader.read(until=min(offset, writer.manifest.next_offset + roll))
            writer.add(records)
            writer.roll()


def lines_of(folder, tmp_path, **source) -> list[bytes]:
    out = tmp_path / "lines.jsonl"
    with opened(**source) as past, out.open("wb") as lines:
        version = Version(load_rules({"rules.yaml": RULES}), past, lines=lines)
        run(past, [version], Span())
    assert version.digest == hashlib.sha256(out.read_bytes()).hexdigest()
    return out.read_bytes().splitlines()


@pytest.mark.parametrize("share", [0.0, 0.6, 1.0])
def test_a_data_folder_gives_the_event_log_its_engine_wrote(tmp_path, share):
    """Archive and journal meet anywhere: byte-equal lines."""
    (tmp_path / "data").mkdir()
    data = Data(tmp_path / "data")
    lived = live(data)
    assert sum(b'"RAISED"' in line for line in lived) > 3
    end = data.journal.durable_offset
    data.journal.close()
    archive_up_to(data, int(end * share), roll=23, fan_in=4)
    assert lines_of(data.folder, tmp_path, data=data.folder) == lived


def test_a_recording_gives_the_events_of_its_replay(tmp_path):
    """Frames through admission, journal, engine and event log, against the recorded journal."""
    recording = tmp_path / "leak.zip"
    record_scenario("gas-leak", out=recording, lasts="20m", registry=None)
    replay(recording, data=tmp_path / "replayed")
    out = tmp_path / "lines.jsonl"
    with opened(recording=recording) as past, out.open("wb") as lines:
        version = Version(rules_of(None), past, lines=lines)
        reading = run(past, [version], Span())
    assert out.read_bytes().splitlines() == event_log(tmp_path / "replayed")
    assert version.episodes.held
    assert reading.rows > 0


def test_some_channels_of_an_archive_are_read_as_they_stand_in_all_of_it(tmp_path):
    (tmp_path / "data").mkdir()
    data = Data(tmp_path / "data")
    live(data, records=120)
    data.journal.close()
    archive_up_to(data, data.journal.durable_offset, roll=10, fan_in=2)
    row = data.registry.channel_row[GAS]
    span = Span(channels=np.array([row], np.int32))
    some = [p.columns for p in archived(data.folder / "archive", span) if p.columns]
    whole = [p.columns for p in archived(data.folder / "archive", Span()) if p.columns]
    g = np.concatenate([c.g for c in some])
    assert len(g) > 50
    expected = np.concatenate([c.g[c.rows.channel == row] for c in whole])
    np.testing.assert_array_equal(g, expected)
    ticks = [np.concatenate([c.ticks.g for c in each]) for each in (some, whole)]
    np.testing.assert_array_equal(*ticks)


def test_a_span_of_time_begins_and_ends_at_records(tmp_path):
    (tmp_path / "data").mkdir()
    data = Data(tmp_path / "data")
    live(data, records=120)
    end = data.journal.durable_offset
    data.journal.close()
    archive_up_to(data, end, roll=10, fan_in=2)
    with archive.Follower(data.folder / "journal", start=0)._reader as reader:
        records = reader.read(until=end)
    ticks = [r.body.tick_ns for r in records if isinstance(r.body, Tick)]
    span = Span(from_ns=ticks[5], to_ns=ticks[20])
    for pieces in (archived(data.folder / "archive", span), of_records(records, span)):
        held = [p.columns for p in pieces if p.columns is not None]
        received = np.concatenate([c.rows.receive_ns for c in held])
        seen = np.concatenate([c.ticks.tick_ns for c in held])
        assert received.min() >= ticks[5]
        assert received.max() < ticks[20]
        assert seen.tolist() == [t for t in ticks if ticks[5] <= t < ticks[20]]


# ------------------------------------------------------------------ the command


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A data folder with an archive, and the rules of its city."""
    root = tmp_path_factory.mktemp("city")
    (root / "data").mkdir()
    data = Data(root / "data")
    for turn in range(20):  # a channel that flutters round its limit, and one that comes near
        data.send(LEVEL, 0.55, 0.56, 0.3)
        data.send(GAS, 0.2 + 0.01 * turn)
        data.tick(60)
        data.send(LEVEL, *[0.44] * 12)
        data.tick(60)
    data.journal.close()
    archive_up_to(data, data.journal.durable_offset, roll=20, fan_in=3)
    (root / "rules").mkdir()
    (root / "rules" / "rules.yaml").write_text(RULES)
    (root / "registry").mkdir()
    (root / "registry" / "city.yaml").write_text(registry_yaml(simulation=False))
    return root


def told(*words) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["rules", "backtest", *map(str, words)])
    return done.exit_code, done.output


def figures_of(folder, tmp_path, *words) -> dict:
    out = tmp_path / "out.json"
    code, said = told(folder / "rules", "--data", folder, "--json", out, *words)
    assert code == 0, said
    return json.loads(out.read_text())


def test_what_is_suggested_has_the_effect_it_says(folder, tmp_path):
    """The suggested hysteresis, written into the rule file, leaves as many episodes as was told."""
    said = figures_of(folder, tmp_path)
    noisy = said["noisiest"][0]
    assert (noisy["rule"], noisy["episodes"]) == ("ponding", 20)
    change = {s["parameter"]: s for s in noisy["suggestions"]}["hysteresis"]
    assert change["episodes"] < 5
    changed = tmp_path / "changed"
    changed.mkdir()
    text = RULES.replace("hysteresis: 0.05", f"hysteresis: {change['value']}")
    (changed / "rules.yaml").write_text(text)
    out = tmp_path / "again.json"
    code, printed = told(changed, "--data", folder, "--against", folder / "rules", "--json", out)
    assert code == 0, printed
    again = json.loads(out.read_text())
    line = next(f for f in again["figures"] if f["rule"] == "ponding")
    assert line["episodes"] == change["episodes"]
    added, removed, unchanged = line["change"]
    assert added == 0
    assert removed + unchanged == 20
    assert len(again["removed"]) == removed


def test_a_missed_incident_says_how_near_the_rules_came(folder, tmp_path):
    begin = 1_790_000_000 * 10**9
    truth = tmp_path / "truth.csv"
    truth.write_text(
        "place,from,to,kind,level\n"
        f"{GAS},{begin},{begin + 4000 * 10**9},leak,blue\n"
        f"410100-drain-up-000201,{begin},{begin + 600 * 10**9},ponding,yellow\n"
    )
    said = figures_of(folder, tmp_path, "--truth", truth)
    (missed,) = said["missed"]
    assert (missed["channel"], missed["rule"], missed["level"]) == (GAS, "ch4-space", "blue")
    assert missed["score"] == pytest.approx(0.39)
    assert missed["limit"] == pytest.approx(0.5)
    lines = {f["rule"]: f for f in said["figures"]}
    assert (lines["ponding"]["found"], lines["ponding"]["incidents"]) == (1, 1)
    assert (lines["ch4-space"]["found"], lines["ch4-space"]["incidents"]) == (0, 1)
    # of 20 flutters, those that touch the ten minutes of the incident are right
    right = [e for e in said["episodes"] if e["raised_ns"] <= begin + 600 * 10**9]
    assert lines["ponding"]["right"] == len(right)


def test_too_many_alarms_end_with_code_1_and_what_a_person_must_mend_with_2(folder, tmp_path):
    code, said = told(folder / "rules", "--data", folder, "--max-per-op-day", "5")
    assert code == 1
    assert "more than the 5 allowed" in said
    code, _ = told(folder / "rules", "--data", folder, "--max-per-op-day", "100000")
    assert code == 0
    assert told(folder / "rules")[0] == 2
    assert told(folder / "rules", "--data", folder, "--from", "yesterday")[0] == 2
    truth = tmp_path / "truth.jsonl"
    truth.write_text('{"place": "nowhere", "from": 1, "to": 2}\n[]\n{"plaice": "x"}\n')
    failed = CliRunner().invoke(
        app,
        ["rules", "backtest", str(folder / "rules"), "--data", str(folder), "--truth", str(truth)],
    )
    problems = str(failed.exception).splitlines()
    assert [line.split(":")[1] for line in problems] == ["1", "2", "3"]
    assert "nowhere" in problems[0]
    assert "place" in problems[2]


def test_the_page_is_one_file_in_two_languages(folder, tmp_path):
    out = tmp_path / "page.html"
    code, said = told(folder / "rules", "--data", folder, "--html", out)
    assert code == 0, said
    text = out.read_text()
    assert "规则回测" in text
    assert "Rules tried on the past" in text
    plots = json.loads(text.split('id="plots">')[1].split("</script>")[0])
    assert plots
    assert {"title_en", "title_zh", "traces", "layout"} <= set(plots[0])
    assert "src=" not in text.split("<script>")[0]


def test_an_exported_recording_and_a_revision_of_the_rules_can_be_read(tmp_path):
    """The same events from the recording and its CSV; against Git nothing, then one rule."""
    recording, table = tmp_path / "leak.zip", tmp_path / "leak.csv"
    record_scenario("gas-leak", out=recording, lasts="30m", registry=None)
    export(recording, table)
    rules = tmp_path / "rules"
    copy_packs(rules)
    git = ["git", "-C", str(rules), "-c", "user.name=x", "-c", "user.email=x@localhost"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "first"]):
        subprocess.run([*git, *words], check=True)
    found = []
    for source in (("--recording", recording), ("--csv", table)):
        out = tmp_path / "out.json"
        code, said = told(rules, *source, "--against", "HEAD", "--json", out)
        assert code == 0, said
        found.append(json.loads(out.read_text()))
    assert found[0]["digest"] == found[1]["digest"]
    assert found[0]["figures"][-1]["change"] == [0, 0, found[0]["figures"][-1]["episodes"]]
    assert found[0]["figures"][-1]["recall"] == 1.0
    gas = rules / "gas.yaml"
    limits = "above: {blue: 0.5, yellow: 1.0, orange: 1.25, red: 2.5}"
    higher = "above: {blue: 4.0, yellow: 4.2, orange: 4.4, red: 4.6}"
    gas.write_text(gas.read_text().replace(limits, higher))
    code, said = told(rules, "--recording", recording, "--against", "HEAD", "--json", out)
    assert code == 0, said
    line = next(f for f in json.loads(out.read_text())["figures"] if f["rule"] == "gas-ch4-space")
    assert line["change"][1] > 0
    words = ["rules", "backtest", str(rules), "--recording", str(recording)]
    failed = CliRunner().invoke(app, [*words, "--against", "no-such"])
    assert isinstance(failed.exception, Missing)
    assert "neither a folder nor a revision" in str(failed.exception)


def test_a_run_from_the_middle_knows_the_registry_and_warms_up_uncounted(folder, tmp_path):
    whole = figures_of(folder, tmp_path)
    middle = datetime.fromtimestamp(1_790_000_000 + 1350, UTC).isoformat()
    later = figures_of(folder, tmp_path, "--from", middle, "--warmup", "5m")
    kept = [e for e in whole["episodes"] if e["raised_ns"] >= (1_790_000_000 + 1350) * 10**9]
    assert 0 < len(kept) < len(whole["episodes"])
    assert later["episodes"] == kept
    assert later["reading"]["rows"] < whole["reading"]["rows"]


def test_a_rule_on_trial_has_its_own_line_and_is_no_part_of_the_whole(folder, tmp_path):
    """Nobody would have heard of it, so it finds no incident for the city and floods nobody."""
    trial = tmp_path / "trial"
    trial.mkdir()
    text = RULES.replace("- id: ponding\n", "- id: ponding\n  mode: shadow\n")
    (trial / "rules.yaml").write_text(text)
    live = {f["rule"]: f["episodes"] for f in figures_of(folder, tmp_path)["figures"]}
    out = tmp_path / "trial.json"
    code, said = told(trial, "--data", folder, "--json", out)
    assert code == 0, said
    tried = {f["rule"]: f["episodes"] for f in json.loads(out.read_text())["figures"]}
    assert tried["ponding"] == live["ponding"] == 20
    assert tried[ALL] == live[ALL] - 20
