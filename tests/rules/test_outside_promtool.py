"""``for`` and ``keep_firing_for`` are Prometheus's: promtool agrees at every minute.

Where definitions differ, and why the series here avoid it:

- Prometheus evaluates on its own grid and sees, for five minutes, the last sample it has; our rules
  are judged at samples. They agree where each evaluation has a sample of its own time.
- Without a sample an expression has no result there and the alert ends; here silence clears nothing
  and a gap longer than ``max_gap`` ends the runs. So no sample is missing.
- Prometheus has no hysteresis: the limit to clear is the limit to raise.
- At equality they agree: firing from the first evaluation ``for`` after the onset, resolved at
  the first one ``keep_firing_for`` after the condition ended; a breach between goes on with it.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from itertools import pairwise
from random import Random
from typing import TYPE_CHECKING

import pytest
import yaml

from rules.engine import Engine
from rules.language import compile_plan, load_rules
from rules.readings import Readings, Record
from rules.registry_file import registry_of
from tests.servers import program

if TYPE_CHECKING:
    from pathlib import Path

CASES = 40
MINUTES = 60
MINUTE_NS = 60_000_000_000
T0_NS = 1_760_000_040_000_000_000
DURATIONS = ("0s", "1m", "90s", "2m", "3m", "5m", "7m30s")

pytestmark = pytest.mark.real


@dataclass(frozen=True)
class Drawn:
    """One series of a value a minute, and the rule about it."""

    number: int
    values: list[float]
    hold: str
    keep: str


def drawn_of(number: int) -> Drawn:
    random = Random(f"promtool {number}")
    values: list[float] = []
    while len(values) < MINUTES:
        values += [random.choice((3.0, 9.5, 10.0, 10.5, 30.0))] * random.choice((1, 1, 2, 3, 6))
    return Drawn(number, values[:MINUTES], random.choice(DURATIONS), random.choice(DURATIONS))


DRAWN = [drawn_of(number) for number in range(CASES)]


def registry():
    channels = [{"id": f"c{d.number}", "quantity": "pressure", "every": "1m"} for d in DRAWN]
    sensor = {"id": "x", "device": "410100-water-nb-000001", "channels": channels}
    device = {"id": "410100-water-nb-000001", "kind": "module", "transport": "coap"}
    device |= {"codec": "compact", "asset": "410100-water-dm-000001", "every": "1m"}
    asset = {"id": "410100-water-dm-000001", "type": "dma", "sensors": [sensor]}
    return registry_of(
        {"city.yaml": yaml.safe_dump({"version": 1, "devices": [device], "assets": [asset]})}
    )


def our_firing() -> list[list[bool]]:
    """Whether each rule fires at each minute, by the rule language and the engine."""
    rules = [
        {
            "id": f"a{d.number}",
            "kind": "threshold",
            "source": "estimate",
            "select": {"channel": f"*/c{d.number}"},
            "above": {"red": "10 kPa"},
            "for": d.hold,
            "keep_firing_for": d.keep,
        }
        for d in DRAWN
    ]
    text = yaml.safe_dump({"version": 1, "rules": rules})
    city = registry()
    plan, _ = compile_plan(load_rules({"rules.yaml": text}), city)
    engine = Engine(plan, city)
    row = {channel.rpartition("/c")[2]: i for i, channel in enumerate(city.channels.id)}
    firing = [False] * CASES
    told: list[list[bool]] = [[] for _ in DRAWN]
    for minute in range(MINUTES):
        body = Readings.of(
            {
                "channel": [row[str(d.number)] for d in DRAWN],
                "judged_ns": [T0_NS + minute * MINUTE_NS] * CASES,
                "value": [d.values[minute] for d in DRAWN],
            }
        )
        for event in engine.fold([Record(minute, body)]):
            firing[int(event.rule[1:])] = event.severity > 0
        for number, now in enumerate(firing):
            told[number].append(now)
    return told


def promtool(folder: Path, firing: list[list[bool]]) -> subprocess.CompletedProcess[str]:
    """Run promtool's unit tests with our firing minutes as what is expected of its rules."""
    rules = [
        {
            "alert": f"a{d.number}",
            "expr": f"x{d.number} >= 10",
            "for": d.hold,
            "keep_firing_for": d.keep,
        }
        for d in DRAWN
    ]
    tests = [
        {
            "interval": "1m",
            "input_series": [{"series": f"x{d.number}", "values": " ".join(map(str, d.values))}],
            "alert_rule_test": [
                {
                    "eval_time": f"{minute}m",
                    "alertname": f"a{d.number}",
                    "exp_alerts": [{"exp_labels": {}}] if now else [],
                }
                for minute, now in enumerate(firing[d.number])
            ],
        }
        for d in DRAWN
    ]
    (folder / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "g", "rules": rules}]}))
    whole = {"rule_files": ["rules.yml"], "evaluation_interval": "1m", "tests": tests}
    (folder / "test.yml").write_text(yaml.safe_dump(whole))
    command = [program("promtool"), "test", "rules", "test.yml"]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, timeout=120
    )


def test_promtool_says_the_same_of_every_minute(tmp_path: Path) -> None:
    firing = our_firing()
    edges = [sum(a != b for a, b in pairwise(line)) for line in firing]
    assert sum(edges) > 3 * CASES  # they rise and clear often enough to tell
    done = promtool(tmp_path, firing)
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_would_tell_a_single_minute_that_differs(tmp_path: Path) -> None:
    firing = our_firing()
    number = next(i for i, line in enumerate(firing) if any(line))
    at = firing[number].index(True)
    firing[number][at] = False
    done = promtool(tmp_path, firing)
    assert done.returncode != 0
    assert f"a{number}" in done.stdout + done.stderr
