"""``lifeline bench end-to-end``: readings by CPU second of our processes together."""

from __future__ import annotations

import gc
import multiprocessing
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from ingest.codecs import compact, compact_bulk, json_bulk
from ingest.limits import IngestLimits
from ingest.overload import UNLIMITED
from lifeline.bench.chain import broker, parts
from lifeline.bench.chain.bare import Bare, Sent
from lifeline.bench.chain.feed import CASES, Case, Publisher, messages, packets, site

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

PATIENCE_S = 120.0
RULES = "T3"
BARE = "paho, msgspec, numpy, text; no journal"
FRAMES = "our codec, one frame at a time"
TYPED = "msgspec typed objects to three columns"


@dataclass(frozen=True, slots=True)
class Row:
    """One case. ``*_per_s`` are by CPU second, of our processes together; ``wall_*`` by the wall.

    ``lost`` is what the broker took over and the journal or the text does not have.
    """

    case: str
    readings_per_s: int
    messages_per_s: int
    baseline: str
    baseline_per_s: int | None
    lost: int
    wall_readings_per_s: int | None = None
    baseline_wall_per_s: int | None = None
    cpu_s: dict[str, float] | None = None
    readings: int = 0

    def as_json(self) -> dict[str, Any]:
        """Return it as it stands in JSON."""
        return asdict(self)


def run(
    cases: Sequence[Case] = CASES, *, turns: int = 3, tell: Callable[[str], None] = print
) -> list[Row]:
    """Measure every case beside its baseline, in turns; the median of each counts.

    Raises
    ------
    Missing
        mosquitto is not installed.
    """
    rows = []
    for case in cases:
        tell(f"{case.name}: {case.messages:,} messages, {case.readings:,} readings")
        sent = packets(list(messages(case)))
        rows.append(_measured(case, sent, turns, tell))
    return rows + [_decoded(case, turns) for case in cases if case.per > 1]


def _measured(case: Case, sent: list[bytes], turns: int, tell: Callable[[str], None]) -> Row:
    ours, theirs = [], []
    for turn in range(turns):
        ours.append(_ours(case, sent))
        tell(f"  {turn + 1}. ours   {case.readings / sum(ours[-1]['cpu']):>12,.0f} readings/s")
        if case.form == "json":
            theirs.append(_bare(case, sent))
            tell(f"  {turn + 1}. theirs {case.readings / theirs[-1][0]:>12,.0f} readings/s")
    cpu_s = median(sum(each["cpu"]) for each in ours)
    middle = next(each for each in ours if sum(each["cpu"]) >= cpu_s)
    return Row(
        case=case.name,
        readings_per_s=round(case.readings / cpu_s),
        messages_per_s=round(case.messages / cpu_s),
        baseline=BARE if theirs else "",
        baseline_per_s=round(case.readings / median(t[0] for t in theirs)) if theirs else None,
        lost=sum(each["lost"] for each in ours),
        wall_readings_per_s=round(case.readings / median(each["wall"] for each in ours)),
        baseline_wall_per_s=(
            round(case.readings / median(t[1] for t in theirs)) if theirs else None
        ),
        cpu_s=dict(
            zip(("ingest", "engine", "store"), np.round(middle["cpu"], 2).tolist(), strict=True)
        ),
        readings=case.readings,
    )


def _ours(case: Case, sent: list[bytes]) -> dict[str, Any]:
    """Run the chain once: CPU seconds of each process, wall seconds, and what was lost."""
    # as fast as it goes, and nothing given up for it
    setting = parts.Setting(RULES, site(case), IngestLimits(overload=UNLIMITED))
    with broker.running() as port, tempfile.TemporaryDirectory(prefix="lifeline-bench-") as name:
        data = Path(name)
        with parts.running(setting, data, port) as chain:
            publisher = Publisher(port)
            publisher.publish(sent[: case.early])
            _settle(chain, case.early * case.per)
            before, begun_s = chain.cpu_s(), time.monotonic()
            publisher.publish(sent[case.early :])
            _settle(chain, case.all_readings)
            wall_s = time.monotonic() - begun_s
            cpu = [after - b for after, b in zip(chain.cpu_s(), before, strict=True)]
            publisher.close()
            lines = chain.lines
        lost = case.all_readings - min(lines, int(parts.journaled(data, case.channels)[0].sum()))
    return {"cpu": cpu, "wall": wall_s, "lost": lost}


def _settle(chain: parts.Chain, readings: int) -> None:
    """Wait until the store and the engine are done with so many readings, or give it up."""
    deadline_s = time.monotonic() + PATIENCE_S
    while chain.lines < readings and time.monotonic() < deadline_s:
        chain.check()
        time.sleep(0.02)
    end = chain.end()
    while not chain.caught_up(end) and time.monotonic() < deadline_s:
        chain.check()
        time.sleep(0.02)


def _bare(case: Case, sent: list[bytes]) -> tuple[float, float]:
    """Run the bare assembly once; return (CPU seconds, wall seconds)."""
    context = multiprocessing.get_context("spawn")
    with broker.running() as port:
        told = context.SimpleQueue()
        process = context.Process(target=_run_bare, args=(case, port, told))
        process.start()
        told.get()
        publisher = Publisher(port)
        publisher.publish(sent)
        cpu_s, wall_s, readings = told.get()
        publisher.close()
        process.join(10)
    if readings != case.all_readings:
        raise RuntimeError(f"the bare assembly got {readings} of {case.all_readings} readings")
    return cpu_s, wall_s


def _run_bare(case: Case, port: int, told: Any) -> None:
    program = Bare(case, site(case))
    cpu_s, wall_s = program.run(port, ready=lambda: told.put("ready"))
    told.put((cpu_s, wall_s, program.readings))


# ------------------------------------------------------------------ decoding alone


def _decoded(case: Case, turns: int) -> Row:
    """Measure decoding alone: payloads to columns, in groups as ingest takes them."""
    payloads = [payload for _, payload in messages(case)][case.early :]
    group = max(1, 100_000 // case.per)
    groups = [payloads[i : i + group] for i in range(0, len(payloads), group)]
    json = case.form == "json"
    ours = _best(_read_bulk if json else _read_compact, groups, turns)
    theirs = _best(_read_typed if json else _read_frames, groups, turns)
    return Row(
        case=f"decoding alone: {case.name}",
        readings_per_s=round(case.readings / ours),
        messages_per_s=round(case.messages / ours),
        baseline=TYPED if json else FRAMES,
        baseline_per_s=round(case.readings / theirs),
        lost=0,
        readings=case.readings,
    )


def _best(run_once: Callable[[list[bytes]], int], groups: list[list[bytes]], turns: int) -> float:
    best = float("inf")
    gc.disable()
    try:
        for _ in range(turns):
            begun_s = time.process_time()
            for group in groups:
                run_once(group)
            best = min(best, time.process_time() - begun_s)
    finally:
        gc.enable()
    return best


def _read_bulk(payloads: list[bytes]) -> int:
    return len(json_bulk.read(payloads).value)


def _read_compact(payloads: list[bytes]) -> int:
    return len(compact_bulk.read(payloads, least=1).value)


def _read_frames(payloads: list[bytes]) -> int:
    return sum(len(compact.decode(payload)) for payload in payloads)


_TYPED = msgspec.json.Decoder(Sent)


def _read_typed(payloads: list[bytes]) -> int:
    found = 0
    for payload in payloads:
        readings = _TYPED.decode(payload).readings
        _ = [each.key for each in readings]
        _ = np.array([each.t for each in readings])
        found += len(np.array([each.v for each in readings]))
    return found
