"""The slow twin of waveforms, written from docs/kinds/waveforms.md: one sample at a time."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from rules.readings import Block
    from rules.registry import Registry

WAVE_KINDS = ("transient",)
EPOCH_BLOCKS = 3
EPOCH_NS = 60 * 10**9
QC_GOOD, QC_SUSPECT, QC_MISSING = 1, 3, 9


@dataclass
class Sample:
    t: int
    x: float
    period_ns: int
    joined: bool  # no gap before it


@dataclass
class Stream:
    """The samples of one channel: which are new, and where there are gaps."""

    last_ns: int | None = None
    period_ns: int = 0
    broken: bool = False
    boot: int | None = None
    previous_boot: int | None = None
    top: int = -1
    late_run: int = 0
    late_since_ns: int = 0

    def block(self, block: Block, row: int) -> tuple[bool, list[Sample]]:
        """Whether an epoch opens before the block, and its samples."""
        period = round(1e9 / block.rate_hz)
        times = [block.judged_ns + i * period for i in range(block.samples.shape[1])]
        rising = self.rises(block)
        opens = False
        if self.last_ns is not None and times[-1] <= self.last_ns:
            if not rising:
                return False, []
            if self.late_run == 0:
                self.late_since_ns = block.receive_ns
            self.late_run += 1
            told = block.sequence >= 0 or block.receive_ns - self.late_since_ns >= EPOCH_NS
            if self.late_run < EPOCH_BLOCKS or not told:
                return False, []
            opens, self.last_ns = True, None
        self.late_run = 0
        return opens, self.taken(times, block.samples[row].tolist(), period)

    def taken(self, times: list[int], values: list[float], period: int) -> list[Sample]:
        samples = []
        first = True
        for t, x in zip(times, values, strict=True):
            if self.last_ns is not None and t <= self.last_ns:
                continue
            joined = self.last_ns is not None and period == self.period_ns and not self.broken
            if joined and first:
                joined = t - self.last_ns <= 1.5 * period
            first = False
            self.last_ns, self.period_ns = t, period
            self.broken = not math.isfinite(x)
            if not self.broken:
                samples.append(Sample(t, x, period, joined))
        return samples

    def rises(self, block: Block) -> bool:
        if block.sequence < 0:
            return True
        if block.boot == self.boot:
            rises = block.sequence > self.top
            self.top = max(self.top, block.sequence)
            return rises
        if block.boot == self.previous_boot:
            return False
        self.previous_boot, self.boot = self.boot, block.boot
        self.top, self.late_run = block.sequence, 0
        return True


@dataclass
class Bucket:
    """One bucket of absolute time of one channel."""

    begin_ns: int
    every_ns: int
    level: float
    count: int = 0
    sums: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0, 0.0])
    low: float = math.inf
    high: float = -math.inf
    crossings: int = 0
    covered_ns: int = 0

    def add(self, sample: Sample, sign_before: int) -> None:
        d = sample.x - self.level
        power = d
        for i in range(4):
            self.sums[i] += power
            power = power * d
        self.count += 1
        self.low, self.high = min(self.low, sample.x) + 0.0, max(self.high, sample.x) + 0.0
        self.covered_ns += sample.period_ns
        if sample.joined and sign_before * sign(sample.x) < 0:
            self.crossings += 1

    def value(self, feature: str) -> float:
        n, (s1, s2, s3, s4) = self.count, self.sums
        shift = s1 / n
        mean = self.level + shift
        variance = max(s2 / n - shift * shift, 0.0)
        sigma = math.sqrt(variance)
        square = shift * shift
        fourth = s4 / n - 4.0 * shift * (s3 / n) + 6.0 * square * (s2 / n)
        fourth -= 3.0 * square * square
        return {
            "mean": mean,
            "rms": math.sqrt(mean * mean + variance),
            "min": self.low,
            "max": self.high,
            "peak": max(abs(self.low), abs(self.high)),
            "peak_to_peak": self.high - self.low,
            "std": sigma,
            "crest": max(self.high - mean, mean - self.low) / sigma if sigma else math.nan,
            "kurtosis": fourth / (variance * variance) if variance else math.nan,
            "zero_crossings": self.crossings / (self.covered_ns / 1e9),
        }[feature] + 0.0

    def flag(self, value: float) -> int:
        if math.isnan(value):
            return QC_MISSING
        return QC_SUSPECT if self.covered_ns < self.every_ns / 2 else QC_GOOD


def sign(x: float) -> int:
    return 1 if x >= 0 else -1


@dataclass
class Feature:
    """One derived channel."""

    channel: int
    device: int
    feature: str
    every_ns: int
    bucket: Bucket | None = None
    sign: int = 0

    def take(self, sample: Sample) -> list[tuple[int, float, int]]:
        """(time, value, flag) of the bucket that this sample closes."""
        closed = []
        begin = sample.t // self.every_ns * self.every_ns
        if self.bucket is not None and self.bucket.begin_ns != begin:
            value = self.bucket.value(self.feature)
            end = self.bucket.begin_ns + self.every_ns
            closed.append((end, value, self.bucket.flag(value)))
            self.bucket = None
        if self.bucket is None:
            self.bucket = Bucket(begin, self.every_ns, sample.x)
        self.bucket.add(sample, self.sign)
        self.sign = sign(sample.x)
        return closed

    def forget(self) -> None:
        self.bucket, self.sign = None, 0


def middle(values: list[float]) -> float:
    held = sorted(values)
    half = len(held) // 2
    return held[half] if len(held) % 2 else (held[half - 1] + held[half]) * 0.5


@dataclass
class Peak:
    """One derived channel: the peak frequency of a band."""

    channel: int
    device: int
    every_ns: int
    window_ns: int
    band: list[float]
    begin_ns: int | None = None
    period_ns: int = 0
    covered_ns: int = 0
    held: list[float] = field(default_factory=list)
    spectra: list[list[float]] = field(default_factory=list)

    def size(self) -> int:
        n = min(self.window_ns // self.period_ns // 2 * 2, 16384)
        return n if n >= 16 else 0

    def take(self, sample: Sample) -> list[tuple[int, float, int]]:
        """(time, value, flag) of the segment that this sample closes."""
        closed = []
        begin = sample.t // self.every_ns * self.every_ns
        if self.begin_ns is not None and self.begin_ns != begin:
            value = self.value()
            flag = QC_SUSPECT if self.covered_ns < self.every_ns / 2 else QC_GOOD
            said = (value, QC_MISSING if math.isnan(value) else flag)
            closed.append((self.begin_ns + self.every_ns, *said))
            self.forget()
        self.begin_ns = begin
        if sample.period_ns != self.period_ns:
            self.period_ns, self.spectra = sample.period_ns, []
        if not sample.joined:
            self.held = []
        self.covered_ns += sample.period_ns
        self.held.append(sample.x)
        if self.size() and len(self.held) == self.size():
            self.spectra.append(periodogram(self.held))
            self.held = self.held[self.size() // 2 :]
        return closed

    def value(self) -> float:
        if not self.spectra:
            return math.nan
        n = self.size()
        per_hz = n * self.period_ns / 1e9
        first = max(math.ceil(self.band[0] * per_hz), 1)
        last = min(math.floor(self.band[1] * per_hz), n // 2 - 1)
        if last - first + 1 < 5:
            return math.nan
        power = [0.0] * (n // 2 + 1)
        for spectrum in self.spectra:
            power = [a + b for a, b in zip(power, spectrum, strict=True)]
        inside = power[first : last + 1]
        at = first + inside.index(max(inside))
        floor = middle(inside)
        if power[at] < max(power[at - 1], power[at + 1], 3.0 * floor) or power[at] == 0:
            return math.nan
        low, top, high = (math.sqrt(math.sqrt(power[at + i])) for i in (-1, 0, 1))
        bend = low - 2.0 * top + high
        shift = 0.5 * (low - high) / bend if bend < 0 else 0.0
        # the place is counted from the first bin of the band
        return ((at - first) + shift + first) / per_hz

    def forget(self) -> None:
        self.begin_ns, self.period_ns, self.covered_ns = None, 0, 0
        self.held, self.spectra = [], []


def periodogram(samples: list[float]) -> list[float]:
    """The squared spectrum of one window. A plain sum of sines would differ in the last bits."""
    n = len(samples)
    left = samples
    while len(left) > 1:
        half = len(left) // 2
        left = [left[i] + left[half + i] for i in range(half)] + left[2 * half :]
    hann = [0.5 - 0.5 * math.cos(2.0 * math.pi * i / n) for i in range(n)]
    mean = left[0] / n
    spectrum = np.fft.rfft(np.array([(x - mean) * w for x, w in zip(samples, hann, strict=True)]))
    return [z.real * z.real + z.imag * z.imag for z in spectrum.tolist()]


class Ears:
    """All channels whose blocks somebody listens to."""

    def __init__(self, registry: Registry, ruled: set[int]) -> None:
        channels = registry.channels
        self.features: dict[int, list[Feature | Peak]] = {}
        for i, derived in enumerate(channels.derived):
            if derived:
                source = registry.channel_row[derived["from"]]
                device, every_ns = int(channels.device[i]), derived["every_ns"]
                feature: Feature | Peak = Feature(i, device, derived["feature"], every_ns)
                if derived["feature"] == "peak_frequency":
                    feature = Peak(i, device, every_ns, derived["window_ns"], derived["band"])
                self.features.setdefault(source, []).append(feature)
        self.streams = {channel: Stream() for channel in {*self.features, *ruled}}

    def take(self, block: Block) -> tuple[list[int], dict[int, list[Sample]], list[dict[str, Any]]]:
        """Channels whose epoch opens, samples by channel, and rows of feature channels."""
        epochs: list[int] = []
        samples: dict[int, list[Sample]] = {}
        rows: list[dict[str, Any]] = []
        for row, channel in enumerate(block.channel.tolist()):
            if channel not in self.streams:
                continue
            opens, new = self.streams[channel].block(block, row)
            if opens:
                epochs.append(channel)
                for feature in self.features.get(channel, []):
                    feature.forget()
            samples.setdefault(channel, []).extend(new)
            for feature in self.features.get(channel, []):
                for sample in new:
                    for t, value, flag in feature.take(sample):
                        rows.append(feature_row(feature, block, (t, value, flag)))
        rows.sort(key=lambda row: (row["judged_ns"], row["channel"]))
        return epochs, samples, rows


def feature_row(
    feature: Feature | Peak, block: Block, said: tuple[int, float, int]
) -> dict[str, Any]:
    return {
        "channel": feature.channel,
        "device": feature.device,
        "event_ns": said[0],
        "judged_ns": said[0],
        "receive_ns": block.receive_ns,
        "value": said[1],
        "qc_flag": said[2],
    }
