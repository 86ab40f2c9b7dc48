"""A flipped bit anywhere is found and told with its place, and the rest is used."""

from __future__ import annotations

import threading

import pytest

from ingest.journal import Cursor, JournalReader
from lifeline.torture import flips

KINDS = {"journal", "events", "series", "quarantine", "snapshots", "cursors"}


def run(count):
    return flips.run_flips(flips=count, seed=5, stop=threading.Event())


def test_every_flipped_bit_is_found_and_costs_one_record_at_most():
    row = run(120)
    assert set(row["files"]) == KINDS
    assert row["missed"] == 0, row["files"]
    for kind, tally in row["files"].items():
        assert tally["flips"] == tally["found"] >= 20, kind
        assert tally["most_lost"] == (0 if kind in ("snapshots", "cursors") else 1)


def _damage_untold(monkeypatch):
    def lost(self, last, reason):
        self.next_offset = last + 1

    monkeypatch.setattr(JournalReader, "_lost", lost)


def _snapshots_unseen(monkeypatch):
    monkeypatch.setattr("lifeline.snapshots.from_bytes", lambda _: {"next_offset": 7, "texts": []})


def _cursors_unseen(monkeypatch):
    monkeypatch.setattr("ingest.journal.cursor._decode", lambda _: Cursor(7))


@pytest.mark.parametrize(
    ("sabotage", "kinds"),
    [
        (_damage_untold, {"journal", "events", "series", "quarantine"}),
        (_snapshots_unseen, {"snapshots"}),
        (_cursors_unseen, {"cursors"}),
    ],
)
def test_the_campaign_finds_a_reader_that_does_not_look(monkeypatch, sabotage, kinds):
    made = flips._checks

    def checks(data):
        found = made(data)
        sabotage(monkeypatch)  # once everything is made
        return found

    monkeypatch.setattr(flips, "_checks", checks)
    row = run(20)
    assert {kind for kind, tally in row["files"].items() if tally["first_missed"]} == kinds
