"""A child that ends with its parent, whatever ended that: Linux tells it by a signal."""

from __future__ import annotations

import ctypes
import os
import signal

_PR_SET_PDEATHSIG = 1


def end_with(parent: int, how: signal.Signals = signal.SIGTERM) -> None:
    """Ask Linux to send ``how`` when the parent process is gone, also by kill -9."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, how)
    if os.getppid() != parent:  # it ended before we asked
        os.kill(os.getpid(), how)
