"""The C reference: the tight loop's meaning in C, compiled on the spot, called on the columns."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import tempfile
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lifeline.bench import workload as limits
from lifeline.bench.loop import FAR_NS, PER_NS
from lifeline.errors import Missing

if TYPE_CHECKING:
    from lifeline.bench.loop_rare import Told
    from rules.readings import Readings

EVENTS_A_ROW = 10  # no row gives more
TYPES = ("RAISED", "ESCALATED", "LOWERED", "CLEARED", "LATE_FINDING", "CLOCK_EPOCH")
RULES = ("level", "ewma", "rate", "slope", "")
TOLD = np.dtype(
    [("t", "i8"), ("score", "f8"), ("channel", "i4"), ("type", "i1"), ("rule", "i1"),
     ("side", "i1"), ("unused", "i1")]
)  # fmt: skip


def _macros() -> dict[str, int | float]:
    """Return the limits of the workload, as the C text names them."""
    named = (
        "HYSTERESIS", "Z_LIMIT", "ALPHA", "WARMUP", "RATE_LIMIT", "RATE_WINDOW_NS", "SLOPE_LIMIT",
        "SLOPE_WINDOW_NS", "SLOPE_ROWS", "SLOPE_POINTS",
    )  # fmt: skip
    (high_1, high_2), (low_1, low_2) = limits.HIGH, limits.LOW
    edges = {"HIGH_1": high_1, "HIGH_2": high_2, "LOW_1": low_1, "LOW_2": low_2}
    return (
        {name: getattr(limits, name) for name in named}
        | edges
        | {
            "PER_NS": PER_NS,
            "FAR_NS": FAR_NS,
        }
    )


def compiler() -> str | None:
    """Return the C compiler of this machine, None where there is none."""
    return shutil.which("cc")


class Reference:
    """The compiled program with its state, for T1, T2 or T3.

    Raises
    ------
    Missing
        There is no C compiler, or it refuses the text.
    """

    def __init__(self, workload: str, channels: int) -> None:
        self._library = _compiled()
        self._library.reference_new.restype = ctypes.c_void_p
        self._library.reference_free.argtypes = [ctypes.c_void_p]
        self._fold = getattr(self._library, f"reference_{workload.lower()}")
        self._fold.restype = ctypes.c_int64
        self._fold.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]
        made = self._library.reference_new(ctypes.c_int64(channels), int(workload == "T3"))
        if not made:
            raise MemoryError(f"no room for {channels} channels")
        self._program = ctypes.c_void_p(made)
        self._told = np.empty(0, TOLD)

    def fold(self, rows: Readings) -> int:
        """Judge rows; return how many events it has to tell.

        Raises
        ------
        ValueError
            A row's channel is none of those it was made for.
        """
        n = len(rows)
        if len(self._told) < EVENTS_A_ROW * n:
            self._told = np.empty(EVENTS_A_ROW * n, TOLD)
        columns = [getattr(rows, name).ctypes.data for name in limits.COLUMNS]
        call = (ctypes.c_int64 * (1 + len(columns)))(n, *columns)
        count = int(self._fold(self._program, ctypes.byref(call), self._told.ctypes.data))
        if count < 0:
            raise ValueError("a row of a channel the reference was not made for")
        return count

    def told(self, count: int) -> list[Told]:
        """Return the last ``count`` events ``fold`` said it has."""
        held: dict[str, list[Any]] = {n: self._told[n][:count].tolist() for n in TOLD.names or ()}
        return [
            (TYPES[kind], RULES[rule], side, channel, t, score)
            for kind, rule, side, channel, t, score in zip(
                held["type"], held["rule"], held["side"], held["channel"], held["t"],
                held["score"], strict=True,
            )
        ]  # fmt: skip

    def close(self) -> None:
        """Give the memory back."""
        self._library.reference_free(self._program)


def _compiled() -> Any:
    """Compile the text into a folder of the moment, and load it."""
    cc = compiler()
    if cc is None:
        raise Missing("no C compiler (cc) on this machine: install gcc or clang")
    text = resources.files("lifeline.bench") / "reference.c"
    with tempfile.TemporaryDirectory() as folder, resources.as_file(text) as source:
        library = Path(folder) / "reference.so"
        flags = ["-std=c99", "-O2", "-march=native", "-ffp-contract=off", "-shared", "-fPIC"]
        macros = [f"-D{name}={value!r}" for name, value in _macros().items()]
        command = [cc, *flags, *macros, str(source), "-o", str(library), "-lm"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Missing(f"the C compiler refuses the reference: {done.stderr.strip()}")
        return ctypes.CDLL(str(library))
