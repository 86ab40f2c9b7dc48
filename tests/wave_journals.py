"""Random blocks for the journals: late, twice, overlapping, with gaps, at rates that change."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from rules.readings import NO_SEQUENCE, Block
from tests.small_city import SECOND_NS, T0_NS, rule_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

    from rules.plan import ChannelRule

SOURCES = {5: 1, 6: 2, 7: 2}  # waveform channel -> device
FEATURES = (
    (5, "mean", 1), (5, "peak", 1), (5, "rms", 5), (5, "kurtosis", 5), (5, "zero_crossings", 5),
    (6, "max", 2), (6, "min", 2), (6, "std", 2), (6, "crest", 10), (6, "peak_to_peak", 10),
    (5, "peak_frequency", 10, 0.5, 3.5, 2.0), (5, "peak_frequency", 10, 0.6, 3.1, 2.0),
    (7, "peak_frequency", 10, 0.4, 9.0, 2.4), (7, "peak_frequency", 6, 0.4, 3.0, 2.4),
)  # fmt: skip
FIRST_FEATURE = 8
PERIODS_NS = (125_000_000, 125_000_000, 125_000_000, 100_000_000, 250_000_000, 83_333_333)
ODD_SAMPLES = (math.nan, math.inf, -math.inf, 3e38, -3e38, 1e-45, -0.0, 0.0)


def derived(ids: Sequence[str]) -> list[dict[str, Any]]:
    """What the registry says of each channel from the sources on."""
    rows: list[dict[str, Any]] = [{} for _ in ids]
    for i, (source, feature, every, *peak) in enumerate(FEATURES):
        said = {"from": ids[source], "feature": feature, "every_ns": every * SECOND_NS}
        if peak:
            said |= {"band": peak[:2], "window_ns": int(peak[2] * SECOND_NS)}
        rows[FIRST_FEATURE + i] = said
    return rows


def devices() -> tuple[int, ...]:
    """Devices of the sources and of their features."""
    return (*SOURCES.values(), *(SOURCES[source] for source, *_ in FEATURES))


def feature_rule(random: Random, name: str) -> ChannelRule:
    """A threshold on some feature channels."""
    count = len(FEATURES)
    chosen = sorted(random.sample(range(count), random.randint(1, count)))
    return rule_of(
        name,
        channels=[FIRST_FEATURE + i for i in chosen],
        raise_at=(1.0, 2.0, 4.0, 8.0),
        clear_at=(0.5, 1.5, 3.0, 7.0),
        hold_s=random.choice((0, 0, 3)),
        keep_s=random.choice((0, 0, 5)),
        max_gap_s=random.choice((15, 40)),
        fail_loud=random.random() < 0.3,
    )


@dataclass
class WaveSpeaker:
    """A device that sends blocks of some channels."""

    device: int
    channels: list[int]
    numbered: bool
    orderly: bool
    next_ns: int = T0_NS
    ahead_ns: int = 0  # what its clock shows, less the time
    period_ns: int = PERIODS_NS[0]
    boot: int = 1
    sequence: int = 0
    level: float = 0.0
    height: float = 0.0
    hertz: float = 1.0
    sent: list[Block] = field(default_factory=list)

    def blocks(self, random: Random, now_ns: int) -> list[Block]:
        """What it sends now: usually the samples since the last block, sometimes trouble."""
        chance = random.random()
        if chance < 0.08 and self.sent and not self.orderly:
            count = random.choice((1, 1, 3, 5))
            start = random.randrange(len(self.sent)) if random.random() < 0.3 else -count
            held = self.sent[start:][:count]
            return [replace(block, receive_ns=now_ns) for block in held]
        if chance < 0.11:
            jump_ns = random.choice((-200, -30, 1, 10, 90)) * SECOND_NS
            self.next_ns += jump_ns
            self.ahead_ns += jump_ns
        elif chance < 0.14:
            self.period_ns = random.choice(PERIODS_NS)
        elif chance < 0.16 and not self.orderly:
            self.boot, self.sequence = random.choice(((self.boot + 1, 0), (1, 0), (2, 5)))
        elif chance < 0.20:
            self.next_ns += random.choice((-1, 1)) * random.randrange(self.period_ns)
        elif chance < 0.24 and not self.orderly:
            self.sequence += random.choice((5, -3))
        own_ns = now_ns + self.ahead_ns
        if own_ns - self.next_ns > 30 * SECOND_NS:
            self.next_ns = own_ns - random.choice((3, 20)) * SECOND_NS
        most = max(1, min(60, (own_ns - self.next_ns) // self.period_ns))
        return [self.block(random, now_ns, random.choice((most, most, most, 1, 2, 7)))]

    def block(self, random: Random, now_ns: int, count: int) -> Block:
        chosen = [c for c in self.channels if random.random() < 0.9] or self.channels[:1]
        start = self.next_ns
        samples = np.array([self.wave(random, start, count) for _ in chosen], np.float32)
        self.next_ns += count * self.period_ns
        self.sequence += 1
        block = Block(
            channel=np.array(chosen, np.int32),
            device=self.device,
            event_ns=start + 7,
            judged_ns=start,
            receive_ns=now_ns,
            rate_hz=1e9 / self.period_ns,
            samples=samples,
            boot=self.boot if self.numbered else random.getrandbits(62) + 1,
            sequence=self.sequence if self.numbered else NO_SEQUENCE,
        )
        self.sent = [*self.sent, block][-20:]
        return block

    def wave(self, random: Random, start_ns: int, count: int) -> list[float]:
        values = []
        if random.random() < 0.15:
            self.height = random.choice((0.0, 0.5, 3.0))
            self.hertz = random.choice((0.9, 1.0, 1.05, 1.3))
        for i in range(count):
            if random.random() < 0.02:
                self.level = random.choice((0.0, 0.0, 1.0, 2.0, 4.5, 9.0, -3.0))
            t = (start_ns - T0_NS + i * self.period_ns) / SECOND_NS
            x = self.level + self.height * math.sin(2 * math.pi * self.hertz * t)
            x += random.choice((0.0, 0.01, -0.01, 0.02))
            values.append(random.choice(ODD_SAMPLES) if random.random() < 0.003 else x)
        return values


def wave_speakers(random: Random, *, orderly: bool) -> list[WaveSpeaker]:
    return [
        WaveSpeaker(
            device,
            [c for c, d in SOURCES.items() if d == device],
            numbered=orderly or random.random() < 0.7,
            orderly=orderly,
        )
        for device in sorted(set(SOURCES.values()))
    ]
