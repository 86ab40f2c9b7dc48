"""The chain's bench loses nothing, compares like with like, and writes what it measured."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ingest.admission import Admission
from ingest.frame import Frame
from ingest.sources import mqtt_wire as wire
from lifeline.allocation import environment
from lifeline.bench.chain import bare, feed, page
from lifeline.bench.chain.feed import CASES, Case
from lifeline.bench.chain.run import Row

ROOT = Path(__file__).parents[2]
FAR_NS = 1_800_000_000 * 10**9


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_is_sent_is_admitted_whole(case):
    """Each reading is of a known channel, new, good, and in its place."""
    small = Case(case.name, case.form, case.per, 1_000, 4, warmup=2)
    sent = list(feed.messages(small))
    assert len(sent) == small.messages + small.early
    admitted = Admission(feed.site(small)).admit(
        [Frame(payload, "mqtt", topic, FAR_NS) for topic, payload in sent]
    )
    assert not admitted.quarantined
    rows = admitted.readings
    assert len(rows) == small.all_readings
    assert (rows.qc_flag == 1).all()
    found = np.full((6, 1_000), np.nan)
    found[(rows.event_ns - feed.T0_NS) // 10**9, rows.channel] = rows.value
    np.testing.assert_array_equal(found, feed.values_of(1_000, 6))


def test_packets_are_read_back_as_they_were_sent():
    sent = list(feed.messages(Case("x", "json", 1, 10, 2, warmup=0)))
    inbox = wire.Inbox()
    inbox.take(b"".join(feed.packets(sent)))
    assert [(topic, payload) for topic, payload, _ in inbox.messages] == sent
    assert [number for _, _, number in inbox.messages] == list(range(1, 21))


def test_the_bare_assembly_judges_what_it_is_given():
    """Its rules are no mere ballast: levels, z-score, rate and slope each speak."""
    rules = bare.Rules(2)
    channel = np.arange(2)
    for second in range(80):
        rules.judge(channel, np.full(2, second * 1000), np.array([20.0, 20.0 + second * 0.2]))
    steep = rules.events
    assert steep >= 2  # a level and the slope of the second channel; nothing of the first
    assert rules.edges[2].tolist() == [False, True]
    assert rules.level[0].tolist() == [False, True]
    rules.judge(channel, np.full(2, 80_000), np.array([60.0, 36.0]))
    assert rules.edges[0].tolist() == [True, False]
    assert rules.edges[1].tolist() == [True, False]
    assert rules.events > steep


def test_a_shorter_case_keeps_its_shape():
    short = CASES[2].shorter(0.01)
    assert (short.rounds, short.warmup) == (2, 2)
    assert short.messages == short.readings // 500


def test_what_the_user_has_set_of_memory_stands(monkeypatch):
    monkeypatch.setenv("MALLOC_TOP_PAD_", "1")
    assert environment()["MALLOC_TOP_PAD_"] == "1"
    assert environment()["MALLOC_TRIM_THRESHOLD_"] == str(256 << 20)


@pytest.mark.real
def test_nothing_is_lost_between_the_broker_and_line_protocol(tmp_path):
    """mosquitto, three processes of ours, fsync: every reading once in journal and text."""
    file, markdown = tmp_path / "bench.json", tmp_path / "page.md"
    options = ["--turns", "1", "--share", "0.05", "--only", "JSON, 500"]
    done = subprocess.run(
        [sys.executable, "-m", "lifeline", "bench", "end-to-end", *options,
         "--json", str(file), "--markdown", str(markdown)],
        cwd=ROOT, check=False, timeout=150, capture_output=True, text=True, env=dict(os.environ),
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    chain, alone = json.loads(file.read_text())["rows"]
    assert chain["lost"] == 0
    assert chain["readings"] == 100_000
    for name in ("readings_per_s", "messages_per_s", "baseline_per_s"):
        assert chain[name] > 0
    assert chain["case"] == "JSON, 500 readings a message"
    assert alone["case"] == "decoding alone: JSON, 500 readings a message"
    assert alone["readings_per_s"] > 0
    text = markdown.read_text()
    assert "| JSON, 500 readings a message |" in text
    assert f"{chain['readings_per_s']:,}" in text


def test_a_case_nobody_knows_is_refused_with_those_there_are():
    done = subprocess.run(
        [sys.executable, "-m", "lifeline", "bench", "end-to-end", "--only", "carrier pigeon"],
        cwd=ROOT, check=False, timeout=60, capture_output=True, text=True, env=dict(os.environ),
    )  # fmt: skip
    assert done.returncode == 2
    assert "carrier pigeon" in done.stderr


def test_the_page_shows_a_dash_where_nothing_was_compared():
    rows = [
        Row("a", 10, 5, "", None, 0, 9, None, {"ingest": 1.0}, 100),
        Row("decoding alone: a", 10, 5, "b", 4, 0, readings=100),
    ]
    text = page.markdown(rows)
    assert "| a | 10 | 5 | – | – | 9 | 0 |" in text
    assert "10,000,000" in text  # a second over a hundred readings, in ns
