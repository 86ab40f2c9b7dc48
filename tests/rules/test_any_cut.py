"""However the journal is cut, wherever the engine is restarted: the same bytes."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import numpy as np
import pytest

import rules.engine
from rules.engine.snapshot import from_bytes, to_bytes
from rules.events import encode
from rules.readings import Block, Readings, Record
from tests.journals import Case, case

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rules.engine import Engine
    from rules.series import Series

KINDS = sorted(rules.engine.KINDS)
ALL = "all kinds together"
ROOT = Path(__file__).resolve().parents[2]
FEW_SEEDS = range(3)
STEPS = 40
DISPATCH_SEEDS = 6  # of all kinds together
KIND_SEEDS = 2  # of each kind alone


def drawn_of(kind: str, seed: int, *, orderly: bool = False) -> Case:
    random = Random(f"{kind} {seed}")
    if kind == ALL:
        return case(random, steps=STEPS, orderly=orderly)
    return case(random, steps=STEPS, kinds=(kind,), orderly=orderly)


def fresh(drawn: Case) -> Engine:
    return rules.engine.Engine(drawn.plan, drawn.registry, reads_out=True)


class Told:
    """What an engine said so far: events, and beside them scores and features, as bytes."""

    def __init__(self) -> None:
        self.events: list[bytes] = []
        self.series: list[bytes] = []

    def fold(self, engine: Engine, batch: list[Record]) -> None:
        self.events += [encode(event) for event in engine.fold(batch)]
        self.series += [row for part in engine.series() for row in rows_of(part)]

    @property
    def all(self) -> list[bytes]:
        return self.events + self.series


def rows_of(series: Series) -> Iterator[bytes]:
    for i in range(len(series)):
        source = series.sources[series.source[i]]
        numbers = np.array([series.value[i], series.score[i], *series.extra[i]])
        numbers = numbers[: 2 + len(source.extra)].tobytes()
        where = (int(series.g[i]), int(series.judged_ns[i]))
        yield repr((where, source, series.subjects[series.subject[i]])).encode() + numbers


def lines(drawn: Case, batches: Iterator[list[Record]] | list[list[Record]]) -> list[bytes]:
    engine, told = fresh(drawn), Told()
    for batch in batches:
        told.fold(engine, batch)
    return told.all


def whole(drawn: Case) -> list[bytes]:
    return lines(drawn, [drawn.records])


def cut(records: list[Record], size: int) -> Iterator[list[Record]]:
    for start in range(0, len(records), size):
        yield records[start : start + size]


def restarted(drawn: Case, engine: Engine) -> Engine:
    """A new engine with the state of ``engine`` as it is read back from a snapshot's bytes."""
    new = fresh(drawn)
    new.restore(from_bytes(to_bytes(engine.snapshot())))
    return new


@pytest.mark.parametrize("kind", [*KINDS, ALL])
@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_batches_of_any_size_give_the_same_events(kind: str, size: int) -> None:
    for seed in FEW_SEEDS:
        drawn = drawn_of(kind, seed)
        expected = whole(drawn)
        assert expected
        assert lines(drawn, cut(drawn.records, size)) == expected, f"seed {seed}"


@pytest.mark.parametrize("kind", [*KINDS, ALL])
def test_a_restart_at_every_record_gives_the_same_events(kind: str) -> None:
    for seed in range(1):
        drawn = drawn_of(kind, seed)
        engine, told = fresh(drawn), Told()
        for record in drawn.records:
            told.fold(engine, [record])
            engine = restarted(drawn, engine)
        assert told.all == whole(drawn), f"seed {seed}"


@pytest.mark.parametrize("kind", [*KINDS, ALL])
def test_one_restart_anywhere_gives_the_same_events(kind: str) -> None:
    """What stands before and after is one batch each; every eighth boundary is tried."""
    drawn = drawn_of(kind, 11)
    expected = whole(drawn)
    for at in range(0, len(drawn.records) + 1, 8):
        engine, told = fresh(drawn), Told()
        told.fold(engine, drawn.records[:at])
        engine = restarted(drawn, engine)
        told.fold(engine, drawn.records[at:])
        assert told.all == expected, f"restart before record {at}"


@pytest.mark.parametrize("kind", [*KINDS, ALL])
def test_every_frame_delivered_twice_gives_the_same_events(kind: str) -> None:
    for seed in FEW_SEEDS:
        drawn = drawn_of(kind, seed, orderly=True)
        once, twice = [], []
        for i, record in enumerate(drawn.records):
            once.append(Record(2 * i, record.body))
            twice.append(once[-1])
            if isinstance(record.body, Readings | Block):
                twice.append(Record(2 * i + 1, record.body))
        expected = lines(drawn, [once])
        assert expected
        assert lines(drawn, [twice]) == expected, f"seed {seed}"
        assert lines(drawn, cut(twice, 1)) == expected, f"seed {seed}"


def digest() -> str:
    """One hash over the events, flags and marks of journals of every kind, at two cuts."""
    mill = hashlib.blake2b(digest_size=16)
    chosen = [(ALL, seed) for seed in range(DISPATCH_SEEDS)]
    chosen += [(kind, seed) for kind in KINDS for seed in range(KIND_SEEDS)]
    for kind, seed in chosen:
        drawn = drawn_of(kind, seed)
        for batches in ([drawn.records], cut(drawn.records, 3)):
            engine = fresh(drawn)
            for batch in batches:
                for event in engine.fold(batch):
                    mill.update(encode(event) + b"\n")
                for table in (engine.quality.flags(), engine.quality.marks()):
                    for column in fields(table):
                        mill.update(getattr(table, column.name).tobytes())
    return mill.hexdigest()


def dispatched() -> list[str]:
    """The CPU features numpy chose kernels for on this machine, beyond its baseline."""
    umath = np._core._multiarray_umath
    return [name for name in umath.__cpu_dispatch__ if umath.__cpu_features__[name]]


def test_the_events_do_not_depend_on_the_cpu_features_numpy_uses() -> None:
    program = (
        "from tests.rules.test_any_cut import digest, dispatched\n"
        "print(*dispatched(), digest(), sep=' ')\n"
    )
    off = {"NPY_DISABLE_CPU_FEATURES": " ".join(dispatched()), "PYTHONPATH": str(ROOT)}
    child = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | off,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=480,
    )
    assert child.stdout.split() == [digest()], child.stderr
