"""Two manholes, a rule with a storm mode, and warnings: what tests of official warnings need."""

from __future__ import annotations

from dataclasses import replace

from rules.bulletins import Bulletin
from rules.engine import Engine
from rules.engine.snapshot import from_bytes, to_bytes
from rules.events import Event, encode
from rules.language import compile_plan, load_rules
from rules.readings import Control, Record, Tick
from rules.registry_file import registry_of
from tests.oracle import Oracle
from tests.small_city import readings_of

S = 1_000_000_000
T0 = 1_790_000_000 * S
LEVEL = "410105-drain-mh-000001/lv-01/level"
OTHER = "410103-drain-mh-000002/lv-01/level"
REGISTRY = """
version: 1
devices:
- {id: 410105-drain-nb-000001, kind: module, transport: coap, codec: compact,
   asset: 410105-drain-mh-000001, every: 1m}
assets:
- id: 410105-drain-mh-000001
  type: manhole
  district: 金水区
  at: [113.7, 34.8]
  sensors: &level
  - id: lv-01
    device: 410105-drain-nb-000001
    channels: [{id: level, quantity: level, range: [0, 10], every: 1m, key: a}]
- id: 410103-drain-mh-000002
  type: manhole
  district: 二七区
  at: [113.6, 34.7]
  sensors:
  - id: lv-01
    device: 410105-drain-nb-000001
    channels: [{id: level, quantity: level, range: [0, 10], every: 1m, key: b}]
"""
RULES = """
version: 1
defaults: {source: estimate, timezone: Asia/Shanghai, max_gap: 30m}
schedules:
  storm: {warning: {hazard: [rainstorm, flood], at_least: orange}}
rules:
- id: sewer
  kind: threshold
  select: {quantity: level}
  unit: m
  above: {yellow: 2.6, orange: 3.2}
  hysteresis: 0.1
  for: 5m
  when: {storm: {above.yellow: 2.0, for: 2m}}
"""


def built(rules: str = RULES):
    registry = registry_of({"r.yaml": REGISTRY})
    plan, _ = compile_plan(load_rules({"g.yaml": rules}), registry)
    return replace(plan, blind_after_ns=10**15), registry


def warning(at_s: float, identifier: str = "w1", **more: object) -> Bulletin:
    sent_ns = T0 + round(at_s * S)
    said = {
        "identifier": identifier,
        "sender": "met",
        "sent_ns": sent_ns,
        "kind": "alert",
        "hazard": "rainstorm",
        "severity": 3,
        "issuer": ("", "郑州市气象台"),
        "onset_ns": sent_ns,
        "expires_ns": sent_ns + 3600 * S,
    }
    return Bulletin(**(said | more))  # type: ignore[arg-type]


class Story:
    """Records in the order they are told, each at its second."""

    def __init__(self, registry) -> None:
        self.registry = registry
        self.records: list[Record] = [Record(0, Tick(T0))]

    def put(self, body) -> Story:
        self.records.append(Record(len(self.records), body))
        return self

    def level(self, at_s: float, value: float, *, channel: str = LEVEL, late_s: float = 0) -> Story:
        t = T0 + round(at_s * S)
        row = {"channel": self.registry.channel_row[channel], "device": 0, "judged_ns": t,
               "receive_ns": t + round(late_s * S), "value": value,
               "sequence": len(self.records)}  # fmt: skip
        return self.put(readings_of([row]))

    def tick(self, at_s: float) -> Story:
        return self.put(Tick(T0 + round(at_s * S)))

    def warn(self, bulletin: Bulletin) -> Story:
        return self.put(Control("warning", bulletin.data() | {"via": "http", "command": "c"}))


def events(plan, registry, story: Story) -> list[Event]:
    """Return what the engine says: at once, record by record through snapshots, and its twin."""
    told = Engine(plan, registry).fold(story.records)
    assert told == Oracle(plan, registry).fold(story.records)
    engine, again = Engine(plan, registry), []
    for record in story.records:
        again += engine.fold([record])
        state = from_bytes(to_bytes(engine.snapshot()))
        engine = Engine(plan, registry)
        assert engine.restore(state) == []
    assert [encode(e) for e in again] == [encode(e) for e in told]
    return told


def brief(told: list[Event]) -> list[tuple[str, str, int, int, float, str]]:
    return [
        (e.type.value, e.subject, e.severity, (e.event_ns - T0) // S, round(e.limit or 0, 6),
         e.evidence.get("warning", {}).get("key", ""))
        for e in told
    ]  # fmt: skip
