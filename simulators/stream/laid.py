"""What can be laid over a city's readings: faults of sensors and of links (seams only)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeGuard

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from simulators.stream.delivery import Messages
    from simulators.stream.schedule import Schedule


class SensorFault(Protocol):
    """What a broken sensor makes of true values."""

    on: Literal["sensor"]
    begin_ns: int
    end_ns: int

    def apply(
        self,
        city: Any,  # simulators.stream.City
        rows: NDArray[np.int32],
        t_ns: NDArray[np.int64],
        value: NDArray[np.float64],
        usable: NDArray[np.bool_],
    ) -> None:
        """Change ``value`` and ``usable`` in place where the fault's channels are hit."""
        ...


class LinkFault(Protocol):
    """What a broken device or link makes of messages."""

    on: Literal["link"]
    devices: NDArray[np.int32]

    def delay_ns(self, schedule: Schedule) -> int:
        """Return the longest time from a sample to its receipt, while the fault lasts."""
        ...

    def apply(self, messages: Messages, schedule: Schedule) -> None:
        """Change messages in place."""
        ...


def of_sensor(fault: SensorFault | LinkFault) -> TypeGuard[SensorFault]:
    """Return whether a fault is a sensor's."""
    return fault.on == "sensor"


def of_link(fault: SensorFault | LinkFault) -> TypeGuard[LinkFault]:
    """Return whether a fault is a link's."""
    return fault.on == "link"
