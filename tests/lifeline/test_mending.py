"""A wrong scale, a broken sensor and a device missing from the registry, mended afterwards."""

from __future__ import annotations

import contextlib
import json
import shutil
import threading
import time
import urllib.request
from typing import TYPE_CHECKING

import numpy as np
import pytest
from paho.mqtt import publish
from typer.testing import CliRunner

from ingest.codecs.compact import Series, encode
from ingest.frame import Frame
from ingest.journal import JournalWriter, durable_end
from ingest.quarantine import raw_record
from ingest.store.archive import run_archive
from ingest.store.corrections import Corrections, load
from ingest.store.manifest import Manifest
from lifeline.cli.app import app
from lifeline.data_folder import DataFolder
from lifeline.engine_process import SiteTexts, empty_site
from lifeline.errors import Missing
from lifeline.mending.correct import journal, marked, redecoded
from lifeline.mending.past import corrections_of, read_past
from lifeline.preflight import read_site
from lifeline.settings.config import load_config
from lifeline.torture.journaled import event_lines, read_journal
from lifeline.torture.processes import City, until
from lifeline.torture.site import GATEWAYS
from rules.engine import Engine
from rules.events import decode
from rules.events import encode as encode_event
from rules.readings import QC_FAIL, Control, Readings
from tests import servers
from tests.heard import is_subscribed, started
from tests.lifeline.test_backup import small

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DEVICE, STRANGER = GATEWAYS
SCALED, BROKEN = "410100-gas-mh-000000/ch4-01/vol", "410100-gas-mh-000000/ch4-02/vol"
FORGOTTEN = "410100-gas-mh-000001/ch4-01/vol"
FAR = ("2020-01-01T00:00+00:00", "2099-01-01T00:00+00:00")


def send(port: int, device: str, sequence: int, values: dict[int, float]) -> int:
    """Publish one message with a value a port; return its time in ms."""
    now_ms = time.time_ns() // 1_000_000
    frame = encode(
        device=device,
        boot=9,
        sequence=sequence,
        time_base_ms=now_ms,
        blocks=[Series(port=p, offsets_ms=[0], values=[v]) for p, v in values.items()],
    )
    topic = f"lifeline/v1/{device}/up"
    publish.single(topic, frame, qos=1, hostname="127.0.0.1", port=port)
    return now_ms


@contextlib.contextmanager
def archiving(data: Path, site: Path) -> Iterator[None]:
    """Archive in a thread, several times a second."""
    stop = threading.Event()
    registry = read_site(load_config(site), data).registry
    options = {"data": data, "registry": registry, "stop": stop, "roll_s": 0.2}
    thread = threading.Thread(target=run_archive, kwargs=options)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(10)


def archived(data: Path) -> None:
    end = durable_end(data / "journal")
    until(lambda: Manifest.load(data / "archive").next_offset >= end, "archived")


class Told:
    """What the CLI said and wrote."""

    def __init__(self, site: Path, *words: str, figures: Path, code: int = 0) -> None:
        words = (*words, "--site", str(site), "--json", str(figures))
        done = CliRunner().invoke(app, words)
        assert done.exit_code == code, (done.output, done.exception)
        self.said = done.output
        self.figures = json.loads(figures.read_text())


@pytest.fixture(scope="module")
def mended(tmp_path_factory: pytest.TempPathFactory):
    """Run a city with three mistakes in its registry, mend it, and use every command."""
    site = tmp_path_factory.mktemp("mending") / "city"
    out, data, told = site.parent / "f.json", site / "data", {}
    with servers.mosquitto() as broker:
        small(site, broker.port)
        page = int((site / "city.toml").read_text().split("[page]\nport = ")[1].split()[0])
        right = (site / "registry" / "all.yaml").read_text()
        lines = right.replace('unit: "%{vol}", port: 1', 'unit: "%{LEL}", port: 1', 1).splitlines()
        stranger = next(n for n, x in enumerate(lines) if STRANGER in x and "kind:" in x)
        begin = next(n for n, x in enumerate(lines) if x.startswith("- {id: 410100-gas-mh-000001,"))
        wrong = [*lines[:stranger], *lines[stranger + 1 : begin], *lines[begin + 4 :]]
        (site / "registry" / "all.yaml").write_text("\n".join(wrong) + "\n")
        city = City(site, data)
        for name in ("store", "archive"):
            del city.processes[name]
        with started(city), archiving(data, site):
            until(lambda: is_subscribed(data, broker.port), "ingest is subscribed")
            for n in range(6):  # 2 %vol read as 2 %LEL; port 2 spikes
                send(broker.port, DEVICE, n + 1, {1: 2.0, 2: 4.0 if n in {2, 3, 4} else 0.1})
                send(broker.port, STRANGER, n + 1, {1: 2.0})
                time.sleep(0.35)
            archived(data)
            told["list"] = Told(site, "quarantine", "list", figures=out)
            names = [e["frame"] for e in told["list"].figures if STRANGER in e["path"]]
            told["show"] = Told(site, "quarantine", "show", names[0], figures=out)
            told["early"] = Told(site, "quarantine", "refeed", names[0], figures=out, code=1)
            (site / "registry" / "all.yaml").write_text(right)
            assert city.processes["ingest"].stop() == 0
            city.processes["ingest"].start()
            until((data / "run" / "control.sock").exists, "ingest is up again")
            send(broker.port, DEVICE, 7, {1: 0.1, 2: 0.1})
            send(broker.port, STRANGER, 7, {1: 0.1})
            time.sleep(1.0)
            archived(data)
            span = ("--from", FAR[0], "--to", FAR[1])
            before = event_lines(data)
            dry = ("redecode", "--device", DEVICE, *span, "--reason", "r", "--dry-run")
            told["dry"] = Told(site, *dry, figures=out)
            redo = ("redecode", "--channel", SCALED, *span, "--reason", "unit was %LEL")
            told["redecode"] = Told(site, *redo, figures=out)
            bad = ("mark", "bad", BROKEN, *span, "--reason", "water in it", "--by", "Li")
            told["bad"] = Told(site, *bad, figures=out)
            again = ("redecode", "--device", DEVICE, *span, "--reason", "again")
            told["again"] = Told(site, *again, figures=out)
            time.sleep(1.5)  # ticks go on: whatever a correction could raise is raised by now
            after = event_lines(data)
            told["page"] = {
                channel: json.load(
                    urllib.request.urlopen(f"http://127.0.0.1:{page}/api/trend?channel={channel}")
                )
                for channel in (SCALED, BROKEN)
            }
            archived(data)
            told["rejudge"] = Told(site, "rejudge", *span, figures=out)
            feed = ("quarantine", "refeed", "--all", "--reason", "unknown_device")
            told["refeed"] = Told(site, *feed, figures=out)
            told["refeed again"] = Told(site, *feed, figures=out)
            told["listed after"] = Told(site, "quarantine", "list", figures=out)
            time.sleep(1.0)
            archived(data)
            for name in ("ingest", "engine", "serve"):
                assert city.processes[name].stop() == 0, city.processes[name].tail()
        with DataFolder(data):
            pass
    return site, data, told, (before, after)


def values(data: Path, site: Path, channel: str) -> tuple[list[float], list[int], list[bool]]:
    registry = read_site(load_config(site), data).registry
    rows = np.array([registry.channel_row[channel]], np.int32)
    past = read_past(data, rows, (0, 2**62), by="judged_ns")
    raw = past["value"].tolist()
    past.lay_over(data, corrections_of(data), kinds=("redecode", "bad", "good"))
    assert raw != past["value"].tolist() or channel != SCALED
    return past["value"].tolist(), past["qc_flag"].tolist(), past["usable"].tolist()


def test_a_wrong_unit_is_decoded_again_from_the_raw_frames(mended):
    site, data, told, _ = mended
    assert told["dry"].figures["rows"] == 6
    assert "hash" not in told["dry"].figures
    figures = told["redecode"].figures
    assert (figures["rows"], figures["unmatched"]) == (6, 0)
    assert values(data, site, SCALED)[0] == [2.0] * 6 + [0.1]


def test_the_journal_stays_as_it_was(mended):
    _, data, _, _ = mended
    rows = [r.body for r in read_journal(data) if isinstance(r.body, Readings)]
    assert np.isclose(np.concatenate([r.value for r in rows]), 0.1).sum() >= 12


def test_a_marked_interval_is_no_measurement_and_stays_so_when_decoded_again(mended):
    site, data, told, _ = mended
    assert told["bad"].figures["rows"] == 7
    found, flags, usable = values(data, site, BROKEN)
    assert found == [0.1, 0.1, 4.0, 4.0, 4.0, 0.1, 0.1]
    assert set(flags) == {QC_FAIL}
    assert not any(usable)
    assert told["again"].figures["rows"] == 0
    assert "无需更正" in told["again"].said
    said = [
        r.body.data
        for r in read_journal(data)
        if isinstance(r.body, Control) and r.body.type == "correction"
    ]
    assert [(s["kind"], s["by"] if s["kind"] == "bad" else "") for s in said] == [
        ("redecode", ""),
        ("bad", "Li"),
    ]


def test_corrections_raise_and_clear_nothing_and_the_log_is_a_fresh_fold(mended):
    _, data, _, (before, after) = mended
    assert after[: len(before)] == before
    subjects = {decode(line).subject for line in after[len(before) :]}
    assert not subjects & {SCALED, BROKEN}
    engine = Engine(*empty_site(), resolve=SiteTexts(data).resolve)
    assert event_lines(data) == [encode_event(e) for e in engine.fold(read_journal(data))]


def test_the_page_shows_what_was_mended(mended):
    page = mended[2]["page"]
    assert page[SCALED]["problem"] == page[BROKEN]["problem"] == ""
    assert page[SCALED]["value"] == [2.0] * 6 + [0.1]
    assert not any(page[SCALED]["suspect"])
    assert all(page[BROKEN]["suspect"])


def test_rejudging_lists_the_missed_alarm_and_the_unfounded_one(mended):
    figures = mended[2]["rejudge"].figures
    assert ("ch4-loud", SCALED) in {(e["rule"], e["subject"]) for e in figures["missed"]}
    assert BROKEN in {e["subject"] for e in figures["unfounded"]}
    assert BROKEN not in {e["subject"] for e in figures["missed"]}
    assert "仅供复核" in mended[2]["rejudge"].said


def test_refused_frames_are_listed_shown_and_still_refused_before_the_registry_is_mended(mended):
    told = mended[2]
    listed = [e for e in told["list"].figures if STRANGER in e["path"]]
    assert {e["reason"] for e in listed} == {"unknown_device"}
    assert len(listed) == 6
    assert len(told["show"].figures["payload_hex"]) == 2 * listed[0]["bytes"]
    assert told["early"].figures["done"] == []
    assert "still refused: unknown_device" in told["early"].figures["refused"][0]


def test_refused_frames_are_fed_once_however_often_it_is_asked(mended):
    site, data, told, _ = mended
    assert len(told["refeed"].figures["done"]) == 6
    assert told["refeed again"].figures["done"] == []
    assert len(told["refeed again"].figures["before"]) == 6
    assert all(e["fed"] for e in told["listed after"].figures if STRANGER in e["path"])
    found = values(data, site, FORGOTTEN)[0]
    assert sorted(found) == [0.1] + [2.0] * 6


def test_what_is_fed_late_is_found_late_and_opens_no_clock_epoch(mended):
    data = mended[1]
    events = [decode(line) for line in event_lines(data)]
    of_stranger = [e for e in events if e.subject == FORGOTTEN]
    assert {e.type.value for e in of_stranger} == {"LATE_FINDING"}


def test_a_lost_correction_is_told_with_the_remedy(mended, tmp_path: Path):
    data = mended[1]
    named = Corrections(tmp_path, corrections_of(data).names)
    with pytest.raises(Exception, match=r"restore corrections/ of the data folder"):
        load(tmp_path, named.names[0][0])


def test_without_ingest_nothing_is_journaled_and_the_remedy_told(mended):
    site, data, *_ = mended
    registry = read_site(load_config(site), data).registry
    good = marked(data, registry, [BROKEN], (0, 2**62), bad=False)
    assert good.rows == 7, "marks can be taken back"
    assert good.corrected.usable.all()
    with pytest.raises(Missing, match=r"ingest does not run.*lifeline run"):
        journal(data, good, by="Li", reason="r")
    with pytest.raises(Missing, match="no such channel: x"):
        marked(data, registry, ["x"], (0, 1), bad=True)


def test_raw_frames_that_are_gone_are_not_passed_over(mended, tmp_path: Path):
    site, data, *_ = mended
    registry = read_site(load_config(site), data).registry
    shutil.copytree(data, tmp_path / "data", ignore=shutil.ignore_patterns("raw", "run"))
    frames = [Frame(b"x", "mqtt", "p", receive_ns=k) for k in (5, 6)]
    with JournalWriter(tmp_path / "data" / "raw", segment_bytes=1) as raw:
        for frame in frames:
            raw.append(raw_record([frame]))
            raw.commit()
    first = tmp_path / "data" / "raw" / f"{0:020}.seg"
    assert redecoded(tmp_path / "data", registry, [SCALED], (1, 9)).refused == 2
    first.unlink()
    with pytest.raises(Missing, match=r"begins at .* after --from.*raw_keep"):
        redecoded(tmp_path / "data", registry, [SCALED], (1, 9))
    assert redecoded(tmp_path / "data", registry, [SCALED], (6, 9)).frames == 1
