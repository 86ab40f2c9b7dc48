"""The slow twin of waveforms, written from docs/kinds/waveforms.md: one sample at a time."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rules.plan import ChannelRule
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


class Ears:
    """All channels whose blocks somebody listens to."""

    def __init__(self, registry: Registry, ruled: set[int]) -> None:
        channels = registry.channels
        self.features: dict[int, list[Feature]] = {}
        for i, derived in enumerate(channels.derived):
            if derived:
                source = registry.channel_row[derived["from"]]
                feature = Feature(
                    i, int(channels.device[i]), derived["feature"], derived["every_ns"]
                )
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


def feature_row(feature: Feature, block: Block, said: tuple[int, float, int]) -> dict[str, Any]:
    return {
        "channel": feature.channel,
        "device": feature.device,
        "event_ns": said[0],
        "judged_ns": said[0],
        "receive_ns": block.receive_ns,
        "value": said[1],
        "qc_flag": said[2],
    }


# -- kind transient -----------------------------------------------------------------------------


@dataclass
class Made:
    """A row that a kind on waveforms made of samples."""

    t: int
    value: float
    score: float
    evidence: dict[str, float]


def middle(values: list[float]) -> float:
    held = sorted(values)
    half = len(held) // 2
    return held[half] if len(held) % 2 else (held[half - 1] + held[half]) * 0.5


@dataclass
class Transient:
    front_ns: int
    hop_ns: int
    hops: int
    gate: float
    hold_off_ns: int
    filtered: list[tuple[int, float]] = field(default_factory=list)  # (number of the middle, y)
    seen: int = 0
    raw: list[Sample] = field(default_factory=list)  # of the stretch without a gap
    steps: list[tuple[float, int, float]] = field(default_factory=list)  # of the open hop
    usual: list[tuple[float, float]] = field(default_factory=list)
    kept: tuple[float, float, int] = (0.0, 0.0, 0)
    kept_until_ns: int | None = None

    def take(self, sample: Sample) -> list[Made]:
        made: list[Made] = []
        last = self.raw[-1] if self.raw else None
        if last and (last.t // self.hop_ns != sample.t // self.hop_ns or not sample.joined):
            made = self.close(last)
        if not sample.joined:
            self.raw, self.filtered = [], []
        self.raw = [*self.raw, sample][-600:]
        self.seen += 1
        if len(self.raw) >= 5:
            newest = [s.x for s in self.raw[-5:]]
            self.filtered = [*self.filtered, (self.seen - 2, middle(newest) + 0.0)][-600:]
        lag = max(self.front_ns // sample.period_ns, 1)
        if len(self.filtered) > lag:
            window = self.filtered[-lag - 1 :]
            moves = [abs(b[1] - a[1]) for a, b in itertools.pairwise(window)]
            steepest = window[1 + moves.index(max(moves))][0]  # a number of samples
            step = window[-1][1] - window[0][1] + 0.0
            self.steps.append((step, steepest, window[-1][1]))
        return made

    def close(self, last: Sample) -> list[Made]:
        steps, self.steps = self.steps, []
        if not steps:
            return []
        known = len(self.usual) == self.hops
        usual = middle([m for m, _ in self.usual]) if self.usual else 0.0
        noise = 1.4826 * middle([s for _, s in self.usual]) if self.usual else 0.0
        largest = max(steps, key=lambda step: abs(step[0] - usual))
        amplitude = largest[0] - usual + 0.0
        fires = known and amplitude != 0 and abs(amplitude) >= self.gate * noise
        holds = self.kept_until_ns is not None and last.t < self.kept_until_ns
        if fires and (not holds or abs(amplitude) > abs(self.kept[0])):
            front = last.t - (self.seen - largest[1]) * last.period_ns
            self.kept = (amplitude, noise, front)
            if not holds:
                self.kept_until_ns = last.t + self.hold_off_ns
        centre = middle([step for step, _, _ in steps])
        spread = middle([abs(step - centre) for step, _, _ in steps])
        self.usual = [*self.usual, (centre, spread)][-self.hops :]
        if not known:
            return [Made(last.t, steps[-1][2], math.nan, {})]
        if not (fires or holds):
            return [Made(last.t, steps[-1][2], 0.0, {})]
        score, noise, front = self.kept
        said = {"noise": noise, "front_before_s": (last.t - front) / 1e9}
        return [Made(last.t, steps[-1][2], score, said if score != 0 else {})]

    def block_epoch(self) -> None:
        self.raw, self.filtered, self.steps, self.kept_until_ns = [], [], [], None

    def score(self, t: int, x: float) -> float:
        raise AssertionError("a kind on waveforms takes no readings")

    def epoch(self) -> None:
        """An epoch of readings says nothing about blocks."""


def transient_of(rule: ChannelRule, i: int, _: Registry) -> Transient:
    own = {name: column[i].item() for name, column in rule.own.items()}
    return Transient(own["front_ns"], own["hop_ns"], own["hops"], own["gate"], own["hold_off_ns"])
