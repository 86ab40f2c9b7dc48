"""Faults of sensors: what they show instead of the truth. One function a kind."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np

from simulators.faults.truth import Break, Fault, Unfit, channels_at, places_of
from simulators.noise import key_of, normal, uniform, wander

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from rules.registry import Registry
    from simulators.faults.truth import Floats, Hit, Rows, Times
    from simulators.stream import City

DAY_S = 86_400.0
MOST_MONTH = 0.01  # of the range, of what ages: a coarse resolution says nothing of wandering
NO_DEVICES = np.zeros(0, np.int32)
TEST_GAS_VOL = 2.2  # methane of a bump test, %vol


@dataclass(slots=True, kw_only=True)
class ChannelFault:
    """Channels that show something else while it lasts (stream.laid.SensorFault)."""

    rows: Rows  # rising
    begin_ns: int
    end_ns: int
    hit: Hit
    beyond: bool = False  # it may show more than the range
    frozen: bool = False  # it shows what it showed last before the begin
    on: Literal["sensor"] = "sensor"
    _held: Floats | None = field(default=None, init=False)

    def apply(
        self, city: City, rows: Rows, t_ns: Times, value: Floats, usable: NDArray[np.bool_]
    ) -> None:
        """Change samples in place: only those of its channels and its time. ``rows`` rise."""
        at, place = places_of(rows, self.rows)
        inside = (t_ns[at] >= self.begin_ns) & (t_ns[at] < self.end_ns)
        at, place = at[inside], place[inside]
        if not len(at):
            return
        shown, fit = value[at], usable[at]
        if self.frozen:
            shown = self._last(city)[place]
        else:
            since = (t_ns[at] - self.begin_ns) / 1e9
            self.hit(place, since, shown, fit)
        c = city.registry.channels
        step = np.where(c.resolution[rows[at]] > 0, c.resolution[rows[at]], 1e-6)
        shown = np.rint(shown / step) * step
        if not self.beyond:
            lo, hi = c.range_lo[rows[at]], c.range_hi[rows[at]]
            shown = np.minimum(np.maximum(shown, np.where(np.isfinite(lo), lo, -np.inf)),
                               np.where(np.isfinite(hi), hi, np.inf))  # fmt: skip
        value[at], usable[at] = shown, fit

    def _last(self, city: City) -> Floats:
        """Return what each channel showed last before the fault."""
        if self._held is None:
            every = city.schedule.every_ns[self.rows]
            phase = city.schedule.phase_ns[city.schedule.device[self.rows]]
            last = (self.begin_ns - 1 - phase) // every * every + phase
            self._held = city.signals.sample(self.rows, last)
        return self._held


def _fault(
    told: Break,
    rows: Rows,
    hit: Hit,
    *,
    loud: bool = False,
    beyond: bool = False,
    frozen: bool = False,
) -> Fault:
    part = ChannelFault(
        rows=rows, begin_ns=told.begin_ns, end_ns=told.end_ns, hit=hit, beyond=beyond, frozen=frozen
    )
    return Fault(
        id=told.id, kind=told.kind, place=told.place, begin_ns=told.begin_ns, end_ns=told.end_ns,
        channels=rows, devices=NO_DEVICES, parts=(part,), fails_loud=loud,
    )  # fmt: skip


def span_of(registry: Registry, rows: Rows) -> Floats:
    """Return each channel's range, canonical; 1 where it has none."""
    c = registry.channels
    span = c.range_hi[rows] - c.range_lo[rows]
    held: Floats = np.where(np.isfinite(span), span, 1.0)
    return held


def steps_of(registry: Registry, rows: Rows) -> Floats:
    """Return each channel's resolution, canonical; a thousandth of its range where unknown."""
    step = registry.channels.resolution[rows]
    held: Floats = np.where(step > 0, step, span_of(registry, rows) / 1000)
    return held


def resting(registry: Registry, rows: Rows) -> Floats:
    """Return 1 for what a wrong zero shifts, 0 for what is measured from its own rest.

    Peaks and rms of live load, frequencies and weights have no zero that could wander.
    """
    c = registry.channels
    return np.array(
        [
            0.0 if c.id[r].endswith(("/peak", "/rms")) or c.quantity[r] in ("frequency", "gvw")
            else 1.0
            for r in rows
        ]
    )  # fmt: skip


def drift(registry: Registry, told: Break) -> Fault:
    """Zero and span wander off evenly. Options: ``range_day`` 0.002, ``span_day`` 0."""
    rows = channels_at(registry, told.place)
    zero = told.option("range_day", 0.002) * span_of(registry, rows) * resting(registry, rows)
    gain = told.option("span_day", 0.0)

    def hit(i: NDArray[np.int64], since: Floats, value: Floats, _: NDArray[np.bool_]) -> None:
        value += zero[i] * since / DAY_S + value * gain * since / DAY_S

    return _fault(told, rows, hit)


def bias(registry: Registry, told: Break) -> Fault:
    """Step aside, as after service. Options: ``range`` 0.05."""
    rows = channels_at(registry, told.place)
    size = told.option("range", 0.05) * span_of(registry, rows) * resting(registry, rows)

    def hit(i: NDArray[np.int64], _s: Floats, value: Floats, _: NDArray[np.bool_]) -> None:
        value += size[i]

    return _fault(told, rows, hit)


def stuck(registry: Registry, told: Break) -> Fault:
    """Exactly what was shown last, again and again."""
    rows = channels_at(registry, told.place)
    return _fault(told, rows, lambda *_: None, frozen=True)


def spikes(registry: Registry, told: Break) -> Fault:
    """Single samples far off. Options: ``share`` 0.05 of samples, ``range`` 0.3 at most."""
    rows = channels_at(registry, told.place)
    share, size = told.option("share", 0.05), told.option("range", 0.3) * span_of(registry, rows)
    key = _keys(rows, told)

    def hit(i: NDArray[np.int64], since: Floats, value: Floats, _: NDArray[np.bool_]) -> None:
        at = _counter(since)
        struck = uniform(key[i], at) < share
        jump = size[i] * (0.2 + 0.8 * uniform(key[i] + 1, at)) * np.sign(normal(key[i] + 2, at))
        value += np.where(struck, jump, 0.0)

    return _fault(told, rows, hit, loud=True)


def noise(registry: Registry, told: Break) -> Fault:
    """Loosen a contact: more noise. Options: ``steps`` 20 of its resolution, standard deviation."""
    rows = channels_at(registry, told.place)
    size = told.option("steps", 20.0) * steps_of(registry, rows)
    key = _keys(rows, told)

    def hit(i: NDArray[np.int64], since: Floats, value: Floats, _: NDArray[np.bool_]) -> None:
        value += size[i] * normal(key[i], _counter(since))

    return _fault(told, rows, hit)


def dropout(registry: Registry, told: Break) -> Fault:
    """Give no value, or the device's own fault code. Options: ``share`` 0.3, ``code`` 0 or 1."""
    rows = channels_at(registry, told.place)
    share, code = told.option("share", 0.3), told.option("code", 0.0)
    key = _keys(rows, told)

    def hit(i: NDArray[np.int64], since: Floats, value: Floats, usable: NDArray[np.bool_]) -> None:
        gone = uniform(key[i], _counter(since)) < share
        value[gone] = np.nan
        if code:
            usable[gone] = False

    return _fault(told, rows, hit)


def saturation(registry: Registry, told: Break) -> Fault:
    """Stay at the stop. Options: ``over`` 1.02 of the range, ``low`` 0 (1: the lowest)."""
    rows = channels_at(registry, told.place)
    c = registry.channels
    top = c.range_lo[rows] + told.option("over", 1.02) * span_of(registry, rows)
    stop = np.where(told.option("low", 0.0) > 0, c.range_lo[rows], top)

    def hit(i: NDArray[np.int64], _s: Floats, value: Floats, _: NDArray[np.bool_]) -> None:
        value[:] = stop[i]

    return _fault(told, rows, hit, loud=True, beyond=True)


def wrong_unit(registry: Registry, told: Break) -> Fault:
    """Configure it wrongly after an exchange. Options: ``factor`` 20 (%LEL sent as %vol)."""
    rows = channels_at(registry, told.place)
    factor = told.option("factor", 20.0)

    def hit(_i: NDArray[np.int64], _s: Floats, value: Floats, _: NDArray[np.bool_]) -> None:
        value *= factor

    return _fault(told, rows, hit, loud=True, beyond=True)


def calibration(registry: Registry, told: Break) -> Fault:
    """Test gas on a detector: up within 20 s, flat, down within 30 s. Options: ``vol`` 2.2."""
    rows = channels_at(registry, told.place)
    rows = rows[[registry.channels.quantity[r] == "ch4" for r in rows]]
    if not len(rows):
        raise Unfit(f"{told.place} detects no methane: nobody puts test gas on it")
    gas = told.option("vol", TEST_GAS_VOL)

    def hit(_i: NDArray[np.int64], since: Floats, value: Floats, _: NDArray[np.bool_]) -> None:
        left = told.lasts_s - since
        value += gas * np.minimum(1, since / 20) * np.minimum(1, left / 30)

    return _fault(told, rows, hit, loud=True)


def condensate(registry: Registry, told: Break) -> Fault:
    """Wet the cell: it reads nothing, or with ``over`` 1 its stop; humidity reads 100."""
    rows = channels_at(registry, told.place)
    c = registry.channels
    damp = np.array([c.quantity[r] == "humidity" for r in rows], np.bool_)
    gas = np.array([c.quantity[r] in ("ch4", "h2s", "co", "o2") for r in rows], np.bool_)
    full = c.range_hi[rows] * 1.02
    over = told.option("over", 0.0) > 0

    def hit(i: NDArray[np.int64], _s: Floats, value: Floats, _: NDArray[np.bool_]) -> None:
        value[damp[i]] = 100.0
        value[gas[i]] = full[i][gas[i]] if over else 0.0

    return _fault(told, rows, hit, loud=True, beyond=over)


def false_echo(registry: Registry, told: Break) -> Fault:
    """Hang a web before a radar: it reads its blind zone at times. Options: ``share`` 0.2."""
    rows = channels_at(registry, told.place)
    blind = registry.channels.range_hi[rows] - 0.25
    share, key = told.option("share", 0.2), _keys(rows, told)

    def hit(i: NDArray[np.int64], since: Floats, value: Floats, _: NDArray[np.bool_]) -> None:
        struck = uniform(key[i], _counter(since) // 30) < share  # half a minute long
        value[struck] = blind[i][struck]

    return _fault(told, rows, hit, loud=True)


def counter_wrap(registry: Registry, told: Break) -> Fault:
    """Wrap a counter too narrow for its total. Options: ``at`` 65536, canonical unit."""
    rows = channels_at(registry, told.place)
    at = told.option("at", 65_536.0)

    def hit(_i: NDArray[np.int64], _s: Floats, value: Floats, _: NDArray[np.bool_]) -> None:
        np.mod(value, at, out=value)

    return _fault(told, rows, hit)


def ageing(registry: Registry, told: Break) -> Fault:
    """Let all wander between calibrations: ``steps_month`` 5 of resolution, ``every_days`` 180.

    Half of it is a slow wander, half an even drift that calibration takes back. ``place`` may be
    ``*``: the whole city.
    """
    rows = everywhere(registry, told)
    c = registry.channels
    whole = c.range_hi[rows] - c.range_lo[rows]
    most = np.where(np.isfinite(whole), MOST_MONTH * whole, np.inf)
    size = np.minimum(told.option("steps_month", 5.0) * steps_of(registry, rows), most) / 30
    size = size * resting(registry, rows)
    every = told.option("every_days", 180.0)
    key = _keys(rows, told)
    own = normal(key, 7)
    begin_s = told.begin_ns / 1e9

    def hit(i: NDArray[np.int64], since: Floats, value: Floats, _: NDArray[np.bool_]) -> None:
        day = (since + begin_s) / DAY_S + 1000 * np.abs(own[i])
        even = own[i] * (np.mod(day, every) - every / 2)
        slow = wander(key[i], since + begin_s, 30 * DAY_S) * 30
        value += size[i] * (even + slow) / 2

    return _fault(told, rows, hit)


def sprinkled(registry: Registry, told: Break) -> Fault:
    """Sprinkle single spikes and gaps: ``spikes`` 1e-4, ``missing`` 0.01 of samples.

    A spike is one sample, ``steps`` 30 of resolution by standard deviation. ``place`` may be ``*``.
    """
    rows = everywhere(registry, told)
    spiky, missing = told.option("spikes", 1e-4), told.option("missing", 0.01)
    size = told.option("steps", 30.0) * steps_of(registry, rows)
    key = _keys(rows, told)

    def hit(i: NDArray[np.int64], since: Floats, value: Floats, _: NDArray[np.bool_]) -> None:
        at = _counter(since)
        drawn = uniform(key[i], at)
        value += np.where(drawn < spiky, size[i] * normal(key[i] + 1, at), 0.0)
        value[drawn > 1 - missing] = np.nan

    return _fault(told, rows, hit, loud=True)


def everywhere(registry: Registry, told: Break) -> Rows:
    """Return the channels of the place, or all measuring ones for ``*``."""
    if told.place != "*":
        return channels_at(registry, told.place)
    c = registry.channels
    silent = {"battery", "rssi", "heartbeat", "state"}
    return np.array(
        [r for r in range(len(c.id)) if c.alive[r] and c.quantity[r] not in silent], np.int32
    )


def _keys(rows: Rows, told: Break) -> NDArray[np.int64]:
    return rows.astype(np.int64) * 16 + key_of(0, "fault", told.id) % (1 << 50)


def _counter(since: Floats) -> NDArray[np.int64]:
    return np.floor(since).astype(np.int64)


KINDS: dict[str, Callable[[Registry, Break], Fault]] = {
    "drift": drift,
    "bias": bias,
    "stuck": stuck,
    "spikes": spikes,
    "noise": noise,
    "dropout": dropout,
    "saturation": saturation,
    "wrong_unit": wrong_unit,
    "calibration": calibration,
    "condensate": condensate,
    "false_echo": false_echo,
    "counter_wrap": counter_wrap,
    "ageing": ageing,
    "sprinkled": sprinkled,
}
