"""One function a signal: quiet values of channels at instants, in canonical units; a file a domain.

Each takes the View, channel rows and Unix seconds of one length and returns that many values.
Formulas stand in ``simulators.physics``; figures are estimates for simulation, no norm.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from simulators.signals.channels import View

Rows = NDArray[np.int32]
Floats = NDArray[np.float64]
Model = Callable[[View, Rows, Floats], Floats]
