"""How our processes hold memory: columns freed a moment ago serve the next batch.

By default the C library gives every large block back to the system and asks for it again, and the
system clears each page anew: half the time of a batch of columns. It is told once, before a
process begins. What a process once needed it keeps, up to the bound here. And Python's collector
of circular garbage is kept from walking what stays. Also who yields the processor to whom.
"""

from __future__ import annotations

import gc
import os
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


def settle() -> None:
    """Take what was loaded out of the collector's rounds, and make these rarer.

    Call it once the modules are there. A group of messages is thousands of tuples that live for
    milliseconds and refer to nothing in a circle; walking all modules for them helps nobody.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


_NICENESS: Final = {"store": 10, "archive": 10}


def yield_to_others(process: str) -> None:
    """Let processes that may lag yield the processor to those that may not, where it is scarce."""
    os.nice(_NICENESS.get(process, 0))
