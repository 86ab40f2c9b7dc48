"""How our processes hold memory: columns freed a moment ago serve the next batch.

By default the C library gives every large block back to the system and asks for it again, and the
system clears each page anew: half the time of a batch of columns. It is told once, before a
process begins. What a process once needed it keeps, up to the bound here.
"""

from __future__ import annotations

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
