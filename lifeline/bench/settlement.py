"""A settled support told from the reference state, in a bridge's real strain.

The Munich bridge's settlement was an experiment: the same girder under the same test load, before
and after one support was lowered. The rule learns in the reference state and must say nothing in
any reference state, the test load included; it must speak once the support is lower. How small a
settlement it tells is tried with the shift taken in part.
"""

from __future__ import annotations

import csv
import io
import tempfile
import zipfile
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from rules.language.loader import load_rules
from simulators.datasets import STRAIN, Absent, Table, rules_of
from simulators.recording import replay

if TYPE_CHECKING:
    from numpy.typing import NDArray

RULE: Final = "span-strain-shift"
REFERENCE: Final = "Settlements/*_ref_support_load_01DMS*.zip"
SETTLED: Final = "Settlements/*2022-04-11_support_load_01DMS*.zip"
OTHER: Final = "ReferenceState/*DMS*.zip"
SHARES: Final = (0.0, 0.25, 0.5, 0.75, 1.0)
WANTED: Final = {0.0: False, 1.0: True}  # of a part of the shift either is told
SECOND_NS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Told:
    """One replay: what stood in it, and whether the rule spoke."""

    record: str
    shift_um_m: float  # of the later part against the reference; 0: nothing happened
    minutes: float
    raised: int
    level: int  # severity of the highest, 0 without any
    after_s: float  # from the first settled line to the first alarm; NaN without one
    right: bool | None  # None: a partial settlement, of which either is told

    def as_json(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self) | {"after_s": None if np.isnan(self.after_s) else self.after_s}


Seconds = tuple["NDArray[np.int64]", "NDArray[np.float64]"]


def judge(folder: Path) -> list[Told]:
    """Replay the reference states, and the reference followed by shares of the settlement.

    Raises
    ------
    Absent
        A record is missing.
    """
    before, after = seconds(_one(folder, REFERENCE)), seconds(_one(folder, SETTLED))
    other = seconds(_one(folder, OTHER))
    told = [_told("reference state of another day", other, None, 0.0, wanted=False)]
    shift = float(np.median(after[1]) - np.median(before[1]))
    for share in SHARES:
        later = after[0], after[1] - (1 - share) * shift
        name = "reference, then its settled record"
        name += {0.0: " less its whole shift", 1.0: ""}.get(
            share, f" with {share:.0%} of its shift"
        )
        told.append(_told(name, before, later, share * shift, wanted=WANTED.get(share)))
    return told


def _one(folder: Path, pattern: str) -> Path:
    found = sorted(folder.glob(pattern))
    if not found:
        raise Absent(f"{folder / pattern} is not there")
    return found[0]


def seconds(path: Path) -> Seconds:
    """Return (times, medians of each second) of a record at 100 Hz, as a logger would send."""
    with zipfile.ZipFile(path) as archive:
        text = archive.read(archive.namelist()[0]).decode("utf-8", errors="replace")
    held: dict[int, list[float]] = {}
    lines = csv.reader(io.StringIO(text))
    next(lines)
    for at, value in lines:
        moment = datetime.strptime(at, "%Y-%m-%d %H:%M:%S.%f").replace(tzinfo=UTC)
        held.setdefault(int(moment.timestamp()), []).append(float(value))
    times = np.array(sorted(held), np.int64) * SECOND_NS
    return times, np.array([np.median(held[int(t // SECOND_NS)]) for t in times])


def _told(
    record: str, before: Seconds, later: Seconds | None, shift: float, *, wanted: bool | None
) -> Told:
    parts = [before] if later is None else [before, later]
    t_ns = np.concatenate([part[0] for part in parts])
    values = np.concatenate([part[1] for part in parts])
    moments = [datetime.fromtimestamp(int(t) / 1e9, UTC).isoformat() for t in t_ns]
    lines = [f"{at},{value:.4f}" for at, value in zip(moments, values, strict=True)]
    text = "\n".join(["time,strain", *lines]) + "\n"
    when = {"column": "time", "format": "iso8601"}
    table = Table("strain", "bridge", "span", "1s", when, {"strain": STRAIN}, lambda: text)
    with tempfile.TemporaryDirectory(prefix="lifeline-settlement-") as name:
        done = replay(table.write(Path(name)), rules=load_rules(rules_of("settlement")))
    alarms = [event for event in done.alarms if event.rule == RULE]
    settled_ns = int(t_ns[0] if later is None else later[0][0])
    first_ns = min((event.event_ns for event in alarms), default=-1)
    right = None if wanted is None else bool(alarms) == wanted and not 0 <= first_ns < settled_ns
    return Told(
        record=record,
        shift_um_m=round(shift, 1),
        minutes=round(len(t_ns) / 60, 1),
        raised=len(alarms),
        level=max((event.max_severity or event.severity for event in alarms), default=0),
        after_s=(first_ns - settled_ns) / SECOND_NS if alarms else np.nan,
        right=right,
    )
