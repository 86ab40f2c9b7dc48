"""How our processes hold memory: columns freed a moment ago serve the next batch.

By default the C library gives every large block back to the system and asks for it again, and the
system clears each page anew: half the time of a batch of columns. It is told once, before a
process begins. What a process once needed it keeps, up to the bound here. And Python's collector
of circular garbage is kept from walking what stays. Also who yields the processor to whom.
"""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from typing import Final

_KEPT_BYTES: Final = 256 << 20
_GLIBC: Final = {
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),  # the most it takes
    "MALLOC_TRIM_THRESHOLD_": str(_KEPT_BYTES),
    "MALLOC_TOP_PAD_": str(16 << 20),
}


def environment() -> dict[str, str]:
    """Return the environment of a process of ours; what the user has set there stands.

    Other C libraries take no notice of it.
    """
    return _GLIBC | dict(os.environ)


def settle(process: str) -> None:
    """Take what was loaded out of the collector's rounds; call it once the modules are there.

    In ingest they become rarer too: a group of messages is thousands of tuples that live for
    milliseconds and refer to nothing in a circle. Not in the engine, where few small objects that
    do refer in a circle hold columns of megabytes.
    """
    gc.collect()
    gc.freeze()
    if process == "serve":
        _give_back()
    if process == "ingest":
        gc.set_threshold(50_000, 20, 20)
        # A source's thread asks for the interpreter several times a read; at 5 ms each, beside a
        # busy writer, it would read a third of what comes, and the rest wait unseen in the broker.
        sys.setswitchinterval(0.0005)


# of malloc.h: M_TRIM_THRESHOLD and M_MMAP_THRESHOLD, and what they are where nobody sets them
_USUAL: Final = {
    "MALLOC_TRIM_THRESHOLD_": (-1, 128 << 10),
    "MALLOC_MMAP_THRESHOLD_": (-3, 128 << 10),
}


def _give_back() -> None:
    """Have large blocks given back to the system at once; what the user has set stands.

    Serve has no columns of every batch, but now and then a copy of the ledger in memory, which
    grows by ever larger blocks: kept, their rests stayed with the process for good.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # other C libraries have none
    for name, (option, size) in _USUAL.items():
        if mallopt is not None and os.environ.get(name) == _GLIBC[name]:
            mallopt(option, size)


_NICENESS: Final = {"store": 10, "archive": 10}


def yield_to_others(process: str) -> None:
    """Let processes that may lag yield the processor to those that may not, where it is scarce."""
    os.nice(_NICENESS.get(process, 0))
