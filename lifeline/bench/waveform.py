"""A city's waveforms: features and spectra of 1 600 accelerometers, pressure waves at 100 hydrants.

Accelerometers send blocks of a second at 50 Hz, 46 of a gateway in one; hydrants one block each at
250 Hz. Beside the engine numpy and scipy are called channel by channel on the same batches, for the
like figures of each piece: no minutes put together, no gaps, no late blocks, no alarms.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.signal import medfilt, welch
from scipy.stats import median_abs_deviation

from lifeline.bench.arrival import SEED, T0_NS
from lifeline.bench.results import Waves
from lifeline.bench.timing import Stopwatch
from lifeline.bench.workload import LEVELS, SECOND_NS, STATION, channels_with, registry_with
from rules.engine import Engine
from rules.plan import ChannelRule, Plan
from rules.readings import Block, Record, Tick

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from lifeline.bench.results import Ask, Result
    from rules.readings import Body
    from rules.registry import Registry

CHANNELS, SECONDS = 1_700, 660
HYDRANT_EVERY = 17  # one channel in so many
ACCEL_HZ, PRESSURE_HZ = 50, 250
GATEWAY_CHANNELS = 46
CYCLE_S = 20  # of samples drawn; they repeat
MINUTE_S = 60
ACCEL_FEATURES = ("mean", "peak", "peak_to_peak", "rms")
PRESSURE_FEATURES = ("max", "mean", "min")
SEGMENT_S, WINDOW_S, BAND_HZ = 600, 30, (1.9, 2.4)
FRONT_S, BASELINE_S, GATE = 0.2, 30, 8.0
BURST_KPA = -60.0
WELCH_CHANNELS = 40  # whose spectra scipy computes


@dataclass(frozen=True, slots=True)
class Waveforms:
    """Samples of a while, repeated: ``accel`` float32[A, n], ``pressure`` float32[P, m]."""

    accel: NDArray[np.float32]
    pressure: NDArray[np.float32]

    @property
    def channels(self) -> int:
        """Return the number of channels with samples."""
        return len(self.accel) + len(self.pressure)

    @property
    def samples_per_s(self) -> int:
        """Return what a second of all of them holds."""
        return len(self.accel) * ACCEL_HZ + len(self.pressure) * PRESSURE_HZ


def waveforms_of(channels: int) -> Waveforms:
    """Draw the samples of so many channels, one in 17 of them a hydrant."""
    random = np.random.default_rng(SEED)
    hydrants = max(1, channels // HYDRANT_EVERY)
    accel = random.normal(0, 0.02, (max(1, channels - hydrants), ACCEL_HZ * CYCLE_S))
    pressure = random.normal(300, 0.4, (hydrants, PRESSURE_HZ * CYCLE_S))
    return Waveforms(accel.astype(np.float32), pressure.astype(np.float32))


def run_waveform(workload: str, ask: Ask) -> list[Result]:
    """Measure the engine on blocks as they come in a second, and ten seconds at once."""
    waves = waveforms_of(ask.channels or CHANNELS)
    seconds = ask.rounds or SECONDS
    rows: list[Result] = []
    for name, together in (("1 s", 1), ("10 s", 10)):
        registry = registry_of(waves)
        beside = scipy_rate(waves, together)
        engine, watch, events = Engine(plan_of(waves, registry), registry), Stopwatch(), 0
        for done, batch in enumerate(blocks(waves, seconds, together=together), 1):
            with watch.lap(waves.samples_per_s * together):
                events += len(engine.fold(batch))
            ask.tell(f"{workload} {name}", min(done * together, seconds), seconds)
        # over all laps: the ends of minutes are dearer than most seconds
        rate = round(sum(watch.rows) / sum(watch.seconds))
        faster = round(rate / waves.samples_per_s, 1)
        rows.append(Waves(workload, name, waves.channels, rate, faster, beside, events))
    return rows


# -- the journal -------------------------------------------------------------------------------


def blocks(waves: Waveforms, seconds: int, *, together: int) -> Iterator[list[Record]]:
    """Yield batches of whole seconds; one hydrant in 50 has a burst in the last third."""
    offset = 0
    for begin in range(0, seconds, together):
        batch: list[Record] = []
        for second in range(begin, min(begin + together, seconds)):
            since_s = second - 2 * seconds // 3
            bodies: list[Body] = [*_second(waves, second, since_s)]
            bodies.append(Tick(T0_NS + (second + 1) * SECOND_NS))
            batch += [Record(offset + i, body) for i, body in enumerate(bodies)]
            offset += len(bodies)
        yield batch


def _second(waves: Waveforms, second: int, since_s: int) -> list[Block]:
    """Return the blocks of one second, gateways first; a burst came ``since_s`` before it."""
    now_ns, k = T0_NS + second * SECOND_NS, second % CYCLE_S
    accel = waves.accel[:, k * ACCEL_HZ : (k + 1) * ACCEL_HZ]
    pressure = waves.pressure[:, k * PRESSURE_HZ : (k + 1) * PRESSURE_HZ]
    if since_s >= 0:
        pressure = pressure.copy()
        pressure[::50, 0 if since_s else PRESSURE_HZ // 3 :] += BURST_KPA
    count = len(accel)
    said: list[Block] = []
    for device, first in enumerate(range(0, count, GATEWAY_CHANNELS)):
        stop = min(first + GATEWAY_CHANNELS, count)
        said.append(_block((first, stop), device, now_ns, accel[first:stop], ACCEL_HZ))
    gateways = len(said)
    for row in range(len(pressure)):
        rows = (count + row, count + row + 1)
        said.append(_block(rows, gateways + row, now_ns, pressure[row : row + 1], PRESSURE_HZ))
    return said


def _block(
    rows: tuple[int, int], device: int, now_ns: int, samples: NDArray[np.float32], rate: int
) -> Block:
    return Block(
        channel=np.arange(*rows, dtype=np.int32),
        device=device,
        event_ns=now_ns,
        judged_ns=now_ns,
        receive_ns=now_ns + SECOND_NS,
        rate_hz=float(rate),
        samples=samples,
        boot=1,
        sequence=(now_ns - T0_NS) // SECOND_NS,
    )


# -- rules and registry ------------------------------------------------------------------------


def plan_of(waves: Waveforms, registry: Registry) -> Plan:
    """Return limits on every rms and peak, and drops and rises of every hydrant's pressure."""
    features = [
        i for i, said in enumerate(registry.channels.derived)
        if said and said["feature"] in {"rms", "peak"}
    ]  # fmt: skip
    hydrants = range(len(waves.accel), waves.channels)
    own = {
        "front_ns": int(FRONT_S * SECOND_NS),
        "hop_ns": SECOND_NS,
        "hops": BASELINE_S,
        "gate": GATE,
        "hold_off_ns": 30 * SECOND_NS,
    }
    rules = (
        _rule("rms", "threshold", np.array(features), (0.315, 0.5), 1, {}),
        *(
            _rule("wave", "transient", np.array(hydrants), (side * 50.0, side * 200.0), side, own)
            for side in (1, -1)
        ),
    )
    return Plan(content_hash="bench-waveform", levels=LEVELS, channel_rules=rules)


def _rule(
    name: str,
    kind: str,
    channel: NDArray[np.int64],
    limits: tuple[float, float],
    side: int,
    own: dict[str, Any],
) -> ChannelRule:
    n = len(channel)
    raise_at = np.tile(np.array(limits), (n, 1))
    return ChannelRule(
        rule_id=name,
        kind=kind,
        side=side,
        channel=channel.astype(np.int32),
        raise_at=raise_at,
        clear_at=raise_at,
        hold_ns=np.zeros((n, len(LEVELS)), np.int64),
        hold_samples=np.zeros((n, len(LEVELS)), np.int32),
        keep_ns=np.zeros((n, len(LEVELS)), np.int64),
        max_gap_ns=np.full(n, 3 * MINUTE_S * SECOND_NS),
        own={key: np.full(n, value) for key, value in own.items()},
        options={},
    )


def registry_of(waves: Waveforms) -> Registry:
    """Return a registry of the channels and, after them, of their features."""
    count = len(waves.accel)
    gateways = -(-count // GATEWAY_CHANNELS)
    device = [i // GATEWAY_CHANNELS for i in range(count)]
    device += [gateways + i for i in range(len(waves.pressure))]
    names = [f"{STATION}/s{i:06d}/v" for i in range(waves.channels)]
    derived: list[dict[str, Any]] = [{} for _ in names]
    for i in range(waves.channels):
        for feature in ACCEL_FEATURES if i < count else PRESSURE_FEATURES:
            names.append(f"{names[i]}-{feature}")
            device.append(device[i])
            derived.append({"from": names[i], "feature": feature, "every_ns": MINUTE_S * SECOND_NS})
    for i in range(count):
        names.append(f"{names[i]}-f1")
        device.append(device[i])
        derived.append(
            {
                "from": names[i],
                "feature": "peak_frequency",
                "every_ns": SEGMENT_S * SECOND_NS,
                "band": list(BAND_HZ),
                "window_ns": WINDOW_S * SECOND_NS,
            }
        )
    name = f"bench-waveform-{waves.channels}"
    every_ns = MINUTE_S * SECOND_NS
    channels = channels_with(
        tuple(names), np.array(device, np.int32), every_ns, derived=tuple(derived)
    )
    return registry_with(name, channels)


# -- numpy and scipy, channel by channel -------------------------------------------------------


def scipy_rate(waves: Waveforms, together: int) -> int:
    """Return samples by CPU second of numpy and scipy called for each channel and batch.

    Spectra are Welch's of whole segments, of some channels only: their time is taken for all.
    """
    watch = Stopwatch()
    for begin in range(0, CYCLE_S, together):
        stop = begin + together
        with watch.lap(waves.samples_per_s * together):
            for samples in waves.accel[:, begin * ACCEL_HZ : stop * ACCEL_HZ]:
                features_of(samples)
            for samples in waves.pressure[:, begin * PRESSURE_HZ : stop * PRESSURE_HZ]:
                features_of(samples)
                steps_of(samples)
    some = np.tile(waves.accel[:WELCH_CHANNELS], SEGMENT_S // CYCLE_S)
    spectra = Stopwatch()
    with spectra.lap(some.size):
        for samples in some:
            peak_of(samples)
    each_s = waves.samples_per_s / watch.readings_per_s  # CPU seconds of a second of the city
    each_s += waves.accel[:, :ACCEL_HZ].size / spectra.readings_per_s
    return round(waves.samples_per_s / each_s)


def features_of(samples: NDArray[np.float32]) -> tuple[float, float, float, float]:
    """Return mean, rms, peak and peak to peak."""
    x = samples.astype(np.float64)
    rms = np.sqrt(np.mean(x * x))
    return float(x.mean()), float(rms), float(np.abs(x).max()), float(np.ptp(x))


def peak_of(samples: NDArray[np.float32]) -> float:
    """Return the highest bin of a segment's band, in Hz."""
    hertz, power = welch(samples.astype(np.float64), ACCEL_HZ, nperseg=WINDOW_S * ACCEL_HZ)
    band = (hertz >= BAND_HZ[0]) & (hertz <= BAND_HZ[1])
    return float(hertz[band][power[band].argmax()])


def steps_of(samples: NDArray[np.float32]) -> tuple[float, float]:
    """Return the largest step and the noise of steps of filtered pressure."""
    filtered = medfilt(samples.astype(np.float64), 5)
    lag = int(FRONT_S * PRESSURE_HZ)
    step = filtered[lag:] - filtered[:-lag]
    return float(np.abs(step - np.median(step)).max()), float(median_abs_deviation(step))
