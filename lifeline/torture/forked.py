"""Imported first by the server our processes are forked from: their wall clock can be set.

It ends with the campaign that started it, also where that is killed, and its children with it: they
must not go on writing a folder that a next campaign uses.
"""

from __future__ import annotations

import os
import signal
import sys

from lifeline.parent import end_with
from lifeline.torture.shifted_time import shift

if any("multiprocessing.forkserver" in word for word in sys.orig_argv):  # nobody else's clock
    shift()
    end_with(os.getppid(), signal.SIGKILL)
