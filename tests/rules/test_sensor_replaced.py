"""Another device speaks for a channel: its history, windows and open alarms go on."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from rules.engine import Engine
from rules.engine.snapshot import from_bytes, to_bytes
from rules.events import EventType, encode
from rules.language import compile_plan, load_rules
from rules.readings import Control, Readings, Record, Tick
from rules.registry_file import registry_of
from tests.registry_tables import as_yaml, row

SECOND = 10**9
RULES = """
version: 1
rules:
- {id: gas, kind: threshold, class: safety, source: estimate, select: {quantity: ch4},
   unit: "%{vol}", above: {orange: 1.25}, for: 0s, keep_firing_for: 30s, max_gap: 10m, message: m}
- {id: odd, kind: ewma, class: maintenance, source: estimate, select: {quantity: ch4}, alpha: 0.1,
   warmup: 30, floor: "0.01 %{vol}", sigma: {yellow: 6}, side: above, for: 0s, max_gap: 10m,
   message: m}
- {id: silent, kind: deadman, class: maintenance, source: estimate, select: {},
   missing: {yellow: 5m}, message: m}
"""
OLD = registry_of({"a.yaml": json.dumps(as_yaml([row(1)]))})


def replaced():
    held = as_yaml([row(1)])
    new = {**held["devices"][0], "id": "410100-gas-mo-000999"}
    held["devices"][0]["state"] = "retired"
    held["devices"].append(new)
    held["assets"][0]["sensors"][0]["device"] = new["id"]
    return registry_of({"a.yaml": json.dumps(held)}, previous=OLD)


NEW = replaced()
PLANS = {
    registry.content_hash: (
        replace(
            compile_plan(load_rules({"r.yaml": RULES}), registry)[0], blind_after_ns=3600 * SECOND
        ),
        registry,
    )
    for registry in (OLD, NEW)
}


def reading(offset, device, sequence, second, value):
    columns = {
        "channel": 0, "device": device, "boot": 1, "sequence": sequence, "value": value,
        "event_ns": second * SECOND, "judged_ns": second * SECOND, "receive_ns": second * SECOND,
    }  # fmt: skip
    return Record(offset, Readings.of({k: np.array([v]) for k, v in columns.items()}))


def journal():
    records = [Record(0, Tick(1000 * SECOND))]
    for n in range(40):  # a baseline of the old device, then its open alarm
        records.append(reading(len(records), 0, n, 1001 + n, 2.0 + 0.01 * (n % 2)))
    records.append(Record(len(records), Tick(1100 * SECOND)))
    records.append(Record(len(records), Control("registry", {"hash": NEW.content_hash})))
    for n in range(5):  # the new one: the same boot and sequences, the same level
        records.append(reading(len(records), 1, n, 1110 + n, 2.0))
    records.append(reading(len(records), 1, 4, 1114, 2.0))  # its own frame once more
    records.append(reading(len(records), 1, 5, 1115, 3.0))  # odd against the old one's baseline
    records += [reading(len(records) + i, 1, 6 + i, 1120 + 20 * i, 0.2) for i in range(4)]
    records.append(Record(len(records), Tick(1900 * SECOND)))
    return records


def engine(registry=OLD):
    return Engine(*PLANS[registry.content_hash], resolve=lambda c: PLANS[c.data["hash"]])


def test_windows_and_open_alarms_survive_and_frames_count_anew():
    assert NEW.channels.id == OLD.channels.id
    assert NEW.channels.device.tolist() == [1]
    told = [(e.type, e.rule, e.subject[-6:]) for e in engine().fold(journal())]
    assert told == [
        (EventType.RAISED, "gas", "01/vol"),
        (EventType.RAISED, "odd", "01/vol"),  # without a new warm-up
        (EventType.CLEARED, "odd", "01/vol"),
        (EventType.CLEARED, "gas", "01/vol"),  # the alarm the old device had raised
        (EventType.RAISED, "silent", "000999"),  # the old device is not missed
    ]


def test_the_judge_takes_the_new_devices_frames_and_knows_its_repeat():
    running = engine()
    running.fold(journal())
    state = running.judge.state()
    assert (state["top"][0], state["device"][0]) == (9, 1)


@pytest.mark.parametrize("cut", [1, 7, 45])
def test_at_any_cut_and_over_a_restart_the_events_are_the_same(cut):
    whole = [encode(e) for e in engine().fold(journal())]
    running, told, registry = engine(), [], OLD
    records = journal()
    for begin in range(0, len(records), cut):
        part = records[begin : begin + cut]
        told += [encode(e) for e in running.fold(part)]
        registry = NEW if any(isinstance(r.body, Control) for r in part) else registry
        state = from_bytes(to_bytes(running.snapshot()))
        running = engine(registry)
        assert running.restore(state) == []
    assert told == whole
