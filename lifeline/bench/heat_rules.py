"""Rules for one heating substation, tuned on seasons of its own lines.

What belongs together in a station that heats steadily: the supply and its set point; the return
and the supply; the primary return and the secondary one; power and the secondary's spread. Each is
fitted by robust least squares, and its limit lies above what the tuning seasons show for hours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from simulators.heat_station import HOUR_NS, ON_SHARE, STEADY_HOURS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from simulators.heat_station import Lines

    Floats = NDArray[np.float64]

SIGMAS: Final = 4.0  # a limit is at least so many standard deviations
CLIP_SIGMAS: Final = 4.0  # further off is not fitted to
ABOVE: Final = 1.1  # of what tuning shows
ALLOWED_A_SEASON: Final = 1  # episodes of tuning that may be alarms: nobody says they were none
EPISODE_NS: Final = 24 * HOUR_NS
LEAST_STUCK_HOURS: Final = 6
IDLE_SHARE: Final = 0.03  # of the usual power: the meter counts nothing
SENSORS: Final = ("t_sup_sec", "t_ret_sec", "t_ret_prim")


@dataclass(frozen=True, slots=True)
class Relation:
    """``target`` less ``offset + Σ by[name] · name``, in K (of power: kW/K, over the spread)."""

    name: str
    target: str
    by: dict[str, float]
    offset: float
    low: float  # limits of the residual, negative and positive
    high: float

    def residual_text(self) -> str:
        """Return it as an expression of the rule language."""
        parts = [f"{factor:+.4f} * {_input(name)}" for name, factor in self.by.items()]
        usual = " ".join([f"{self.offset:.3f}", *parts])
        return f"{_target_text(self.target)} - ({usual})"


def _input(name: str) -> str:
    return f"{name}_value"


def _target_text(target: str) -> str:
    return f"power / max({SPREAD}, 1)" if target == "pe" else _input(target)


SPREAD: Final = "t_sup_sec_value - t_ret_sec_value"
_FORMS: Final[tuple[tuple[str, str, tuple[str, ...]], ...]] = (
    ("supply", "t_sup_sec", ("t_ref",)),
    ("return", "t_ret_sec", ("t_sup_sec", "t_amb")),
    ("primary", "t_ret_prim", ("t_ret_sec", "t_sup_prim")),
    ("power", "pe", ()),
)


def tune(held: Sequence[Lines]) -> tuple[list[Relation], int]:
    """Return the relations of these seasons, and for how many hours a sensor may stand still."""
    relations = []
    for name, target, inputs in _FORMS:
        wanted = np.concatenate([_target(s, target)[s.steady()] for s in held])
        known = [np.concatenate([s.of[i][s.steady()] for s in held]) for i in inputs]
        fitted, sigma = _fit(wanted, known)
        residuals = [
            (s.t_ns[s.steady()], _target(s, target)[s.steady()] - _usual(s, inputs, fitted))
            for s in held
        ]
        limit = [max(SIGMAS * sigma, ABOVE * _persisting(residuals, side)) for side in (-1, 1)]
        by = dict(zip(inputs, map(float, fitted[1:]), strict=True))
        relations.append(Relation(name, target, by, float(fitted[0]), -limit[0], limit[1]))
    return relations, _still_hours(held)


def _target(lines: Lines, name: str) -> Floats:
    if name != "pe":
        return lines.of[name]
    spread = lines.of["t_sup_sec"] - lines.of["t_ret_sec"]
    held: Floats = lines.of["pe"] / np.maximum(spread, 1.0)
    return held


def _usual(lines: Lines, inputs: Sequence[str], fitted: Floats) -> Floats:
    at = lines.steady()
    held = np.full(int(at.sum()), fitted[0])
    for factor, name in zip(fitted[1:], inputs, strict=True):
        held += factor * lines.of[name][at]
    return held


def _fit(wanted: Floats, known: Sequence[Floats]) -> tuple[Floats, float]:
    """Return offset and factors by least squares without what lies far off, and the robust σ."""
    table = np.column_stack([np.ones(len(wanted)), *known])
    keep = np.ones(len(wanted), np.bool_)
    fitted, sigma = np.zeros(table.shape[1]), np.inf
    for _ in range(10):
        fitted = np.linalg.lstsq(table[keep], wanted[keep], rcond=None)[0]
        left = wanted - table @ fitted
        sigma = 1.4826 * float(np.median(np.abs(left - np.median(left))))
        keep = np.abs(left) < CLIP_SIGMAS * max(sigma, 1e-6)
    return fitted, sigma


def _persisting(residuals: Sequence[tuple[NDArray[np.int64], Floats]], side: int) -> float:
    """Return the largest residual of one side that stood for hours, but for those allowed."""
    peaks: list[float] = []
    for t_ns, left in residuals:
        held = np.lib.stride_tricks.sliding_window_view(side * left, STEADY_HOURS).min(axis=1)
        ends, begins = t_ns[STEADY_HOURS - 1 :], t_ns[: len(t_ns) - STEADY_HOURS + 1]
        held = np.where(ends - begins == (STEADY_HOURS - 1) * HOUR_NS, held, -np.inf)
        taken: list[int] = []
        for at in np.argsort(-held):  # the worst first; what is near a worse one is of its episode
            if len(taken) > ALLOWED_A_SEASON * len(residuals):
                break
            if all(abs(int(ends[at]) - other) >= EPISODE_NS for other in taken):
                taken.append(int(ends[at]))
                peaks.append(float(held[at]))
    peaks.sort(reverse=True)
    return peaks[min(ALLOWED_A_SEASON * len(residuals), len(peaks) - 1)]


def _still_hours(held: Sequence[Lines]) -> int:
    """Return for how many hours a sensor may show the same: longer than tuning shows."""
    runs: list[int] = []
    for season in held:
        for name in SENSORS:
            moved = np.flatnonzero(np.diff(season.of[name]) != 0)
            runs += np.diff(moved).tolist()
    runs.sort(reverse=True)
    allowed = ALLOWED_A_SEASON * len(held) * len(SENSORS)
    usual = runs[min(allowed, len(runs) - 1)] if runs else 0
    return max(LEAST_STUCK_HOURS, usual + 1)


_HEAD = """# Tuned on {seasons} heating seasons of this substation. Lines come hourly.
version: 1
defaults:
  source: estimate
  max_gap: 3x
rules:
"""
_RULE = """
- id: station-{id}
  kind: expr
  class: {klass}
  select: {{domain: heat, asset_type: station}}
  expr: "{expr}"
  level: yellow
  max_age: 10m               # values of one line
  for: {hold}h
  keep_firing_for: 12h
  source_text: "{why}"
  message: "{{{{ asset.name }}}}: {en}"
  message_zh: "{{{{ asset.name_zh }}}}：{zh}"
"""
_STUCK = """
- id: station-still          # says nothing by itself: where nothing flows, all may stand still
  kind: stuck
  class: info
  select: {{sensor: [{sensors}]}}
  above: {{blue: {hours}h}}
  message: "{{{{ channel }}}} stands still"
  message_zh: "{{{{ channel }}}} 读数不变"

- id: station-stuck
  kind: all
  class: maintenance
  scope: asset
  inputs:
    still: {{rule: station-still, at_least: blue}}
    heats: {{quantity: power, stat: last, above: {on:.0f} kW}}
  within: 0s
  level: yellow
  keep_firing_for: 12h
  source_text: "no sensor of the tuning seasons stood still for so long while it heats"
  message: "{{{{ asset.name }}}}: a sensor stands still while it heats"
  message_zh: "{{{{ asset.name_zh }}}}：供热中传感器读数不变"
"""
SAID: Final = {
    ("supply", "low"): ("supply falls short of its set point", "二次供水温度低于设定"),
    ("supply", "high"): ("supply exceeds its set point", "二次供水温度高于设定"),
    ("return", "low"): ("return is too cold: make-up, or a sensor", "二次回水偏低：补水或传感器"),
    ("return", "high"): ("return is too warm for its supply", "二次回水相对供水偏高"),
    ("primary", "low"): ("primary return is too cold", "一次回水偏低"),
    ("primary", "high"): ("primary return is too warm", "一次回水偏高"),
    ("power", "low"): ("less power than its temperatures tell", "热功率低于温差所示"),
    ("power", "high"): ("more power than its temperatures tell", "热功率高于温差所示"),
}


def rules_text(relations: Sequence[Relation], still_hours: int, *, kw: float, seasons: int) -> str:
    """Return the rule file of a tuning; ``kw`` is the station's usual power."""
    parts = [_HEAD.format(seasons=seasons)]
    for relation in relations:
        for side, limit in (("low", relation.low), ("high", relation.high)):
            beyond = f"{relation.residual_text()} {'<' if side == 'low' else '>'} {limit:.2f}"
            en, zh = SAID[relation.name, side]
            parts.append(
                _RULE.format(
                    id=f"{relation.name}-{side}",
                    klass="safety" if relation.name in ("supply", "return") else "maintenance",
                    expr=f"power > {ON_SHARE * kw:.0f} and {beyond}",
                    hold=STEADY_HOURS - 1,
                    why="beyond what the tuning seasons show for hours",
                    en=en,
                    zh=zh,
                )
            )
    usual = [
        f"abs({relation.residual_text()}) < {max(-relation.low, relation.high):.2f}"
        for relation in relations
        if relation.name != "power"
    ]
    parts.append(
        _RULE.format(
            id="meter-stopped",
            klass="maintenance",
            expr=" and ".join([f"power < {IDLE_SHARE * kw:.0f}", *usual]),
            hold=STEADY_HOURS - 1,
            why="temperatures of a station that heats, and no heat counted",
            en="heats, and its meter counts nothing",
            zh="正常供热而热表无读数",
        )
    )
    sensors = ", ".join(f'"*/{name.replace("_", "-")}"' for name in SENSORS)
    parts.append(_STUCK.format(sensors=sensors, hours=still_hours, on=ON_SHARE * kw))
    return "".join(parts)
