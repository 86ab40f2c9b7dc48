"""A domain of a site's own is one YAML file and one simulator function."""

from __future__ import annotations

import json

import numpy as np
import pytest

from lifeline.console.sentences import domain_words
from lifeline.registry_import.importing import Asked, apply_outcome, check_table, read_table
from rules.engine import Engine
from rules.events import EventType
from rules.language import compile_plan, load_rules
from rules.problems import Invalid
from rules.readings import Readings, Record, Tick
from rules.registry_file import load_registry, registry_bytes, registry_from_bytes, registry_of
from simulators.signals import MODELS, Signals
from tests.registry_tables import row, write_csv

SECOND = 10**9
BUILDING = """
version: 1
domains:
- {id: building, name: buildings, name_zh: 建筑, asset_types: [tower, block]}
quantities:
- {id: lean, unit: mm/m, name: lean of a building, name_zh: 建筑倾斜, decimals: 2, range: [-20, 20]}
devices:
- {id: 410100-building-gw-000001, kind: gateway, transport: mqtt, codec: compact,
   asset: 410100-building-tw-000001, every: 60s}
assets:
- id: 410100-building-tw-000001
  type: tower
  name: North tower
  name_zh: 北塔
  at: [113.62, 34.75]
  sensors:
  - id: lean-01
    device: 410100-building-gw-000001
    channels:
    - {id: x, quantity: lean, unit: mm/m, port: 1, resolution: 0.01, every: 60s}
    - {id: deg, quantity: tilt, unit: deg, port: 2, resolution: 0.001, every: 60s}
"""
RULES = """
version: 1
rules:
- {id: leaning, kind: threshold, class: safety, source: estimate,
   select: {domain: building, quantity: lean}, unit: mm/m, above: {yellow: 2, red: 6}, for: 0s,
   max_gap: 10m, message: "{{ asset.name }} leans {{ value }}"}
"""


def leaning(view, rows, t_s):
    """Return the lean of a building: it begins to go after an hour."""
    return 0.5 + 0.005 * view.white(rows, t_s) + np.maximum(0, t_s % 86_400 - 3_600) / 600


@pytest.fixture
def simulated(monkeypatch):
    monkeypatch.setitem(MODELS, ("building", "lean"), leaning)


def test_a_new_domain_is_registered_simulated_and_alarms(simulated):
    registry = registry_of({"building.yaml": BUILDING})
    stored = registry_from_bytes(registry_bytes(registry))
    assert stored.vocabulary == registry.vocabulary
    channels = stored.channels
    assert (channels.range_lo[0], channels.range_hi[0]) == (-20, 20)  # the quantity's
    plan, warnings = compile_plan(load_rules({"r.yaml": RULES}), stored)
    assert [str(w) for w in warnings if "leaning" in str(w)] == []
    t_ns = np.arange(0, 2 * 3600, 60, dtype=np.int64) * SECOND
    rows = np.zeros(len(t_ns), np.int32)
    values = Signals(stored, seed=1).sample(rows, t_ns)
    sent = {"channel": rows, "event_ns": t_ns, "judged_ns": t_ns, "receive_ns": t_ns}
    records = [Record(0, Tick(0)), Record(1, Readings.of({**sent, "value": values}))]
    events = [e for e in Engine(plan, stored).fold(records) if e.type is not EventType.BLIND]
    told = [(e.type, e.severity, e.subject) for e in events]
    subject = "410100-building-tw-000001/lean-01/x"
    assert told == [(EventType.RAISED, 2, subject), (EventType.ESCALATED, 4, subject)]
    assert events[0].event_ns > 3600 * SECOND
    assert domain_words()["building"] == ("buildings", "建筑")


def test_a_new_domain_takes_devices_from_a_table_and_is_kept_by_an_import(tmp_path):
    folder = tmp_path / "registry"
    folder.mkdir()
    (folder / "building.yaml").write_text(BUILDING)
    tower = "410100-building-tw-000001"
    more = {"quantity": "建筑倾斜", "unit": "mm/m", "sensor": "lean-02", "asset_type": "tower"}
    rows = [
        row(2, asset=tower, device="410100-building-mo-000002", name_zh="北塔", zone="", **more)
    ]
    rows[0]["longitude"] = 113.62
    outcome = check_table(read_table(write_csv(tmp_path / "t.csv", rows)), folder, Asked())
    assert [str(p) for p in outcome.findings.problems] == []
    apply_outcome(outcome, folder)
    registry = load_registry(folder)
    assert [d.name for d in registry.vocabulary.domains] == ["building"]
    assert registry.channels.quantity == ("lean", "tilt", "lean")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("type: tower", "type: towr", "unknown asset type 'towr' (did you mean \"tower\"?)"),
        ("id: lean, unit: mm/m", "id: ch4, unit: mm/m", 'quantity "ch4" is built in'),
        ("id: building,", "id: gas,", 'domain "gas" is built in'),
        ("unit: mm/m, name", "unit: mmm/q, name", "is not a known UCUM unit"),
        ("range: [-20, 20]", "range: [20, -20]", "must rise"),
        ("domains:\n- {id: building", "domains:\n- {id: Building", "id: "),
    ],
)
def test_what_is_wrong_with_a_domain_is_told_at_its_place(old, new, said):
    with pytest.raises(Invalid) as caught:
        registry_of({"building.yaml": BUILDING.replace(old, new)})
    assert any(said in str(p) and "building.yaml:" in str(p) for p in caught.value.problems)


def test_a_quantity_never_changes_its_unit():
    registry_of({"building.yaml": BUILDING})
    with pytest.raises(Invalid, match="is kept in mm/m, and what was stored still is"):
        registry_of(
            {"building.yaml": BUILDING.replace("id: lean, unit: mm/m", "id: lean, unit: deg")}
        )


def test_a_registry_without_words_of_its_own_keeps_its_text():
    plain = BUILDING.replace("building-", "gas-").replace("type: tower", "type: manhole")
    plain = plain.replace("quantity: lean, unit: mm/m", "quantity: tilt, unit: deg")
    head, tail = plain.split("domains:")[0], plain[plain.index("devices:") :]
    assert b"vocabulary" not in registry_bytes(registry_of({"a.yaml": head + tail}))
    assert json.loads(registry_bytes(registry_of({"a.yaml": BUILDING})))["vocabulary"]
