"""What a source hands over (Frame) and what a codec makes of it (Decoded), before the registry.

A codec knows bytes, not the registry: it yields columns with the device's own ports or keys, raw
values and times as stamped. It raises Undecodable for a payload it refuses whole, and lists in
``rejects`` the parts it refuses while the rest counts. It raises nothing else, whatever the bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_EVENT_MS = 9_223_372_036_854
"""Unix milliseconds beyond which (either sign) int64 nanoseconds would overflow."""

FRAME_BYTES = 200
"""What a frame is charged with in a bounded queue beside payload and path."""

STATUS_GOOD, STATUS_FAULT, STATUS_WARMING, STATUS_CALIBRATION = 0, 1, 2, 3


class Undecodable(Exception):  # noqa: N818 - the word the contract uses
    """The whole payload is refused; ``reason`` is a short word for the counter's label."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail


class Receipt(Protocol):
    """How a source is told what became of a frame."""

    def answer(self, refused: str | None) -> None:
        """Take note: the frame is durable, journaled (None) or in quarantine for this reason."""


class Frame(NamedTuple):
    """One message as it came. ``path`` is the MQTT topic or the CoAP Uri-Path without slash.

    A tuple: there are tens of thousands a second, and a frozen dataclass takes four times as long.
    """

    payload: bytes
    transport: str  # mqtt | coap | pull | replay | datagram (at the CoAP port, not CoAP)
    path: str
    receive_ns: int
    content_format: int | None = None  # CoAP only
    token: Receipt | None = None  # who is to be told; None where nobody waits

    @property
    def size(self) -> int:
        """Return the bytes this frame is charged with in a bounded queue."""
        return len(self.payload) + len(self.path) + FRAME_BYTES


@dataclass(frozen=True, slots=True)
class Reject:
    """A part of a payload that was refused: why, and which part in words."""

    reason: str
    part: str


@dataclass(frozen=True, slots=True)
class Waveform:
    """A run of samples of one port or key, ``samples[n]`` in the unit the device sends."""

    port: int
    key: str
    start_ns: int
    period_ns: int
    samples: NDArray[np.float64]
    status: int = STATUS_GOOD


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """One payload as columns of length n, in the payload's order.

    Rows are named either by ``port`` (``key`` is None) or by ``key`` (``port`` is all −1).
    """

    device: str = ""  # "" where the payload does not say: then the path does
    boot: int = 0
    sequence: int = -1  # −1 where the format has none
    simulation: bool = False
    clock_unset: bool = False
    timed: bool = True  # False: no time in the payload, rows carry the receive time
    port: NDArray[np.int32]
    key: list[str] | None = None
    event_ns: NDArray[np.int64]
    value: NDArray[np.float64]
    status: NDArray[np.uint8]
    unit: list[str] | None = None  # per row where the payload states units; "" = as registered
    blocks: tuple[Waveform, ...] = ()
    rejects: tuple[Reject, ...] = field(default=())

    def __len__(self) -> int:
        """Return the number of scalar rows."""
        return len(self.value)


def ms_to_ns(milliseconds: NDArray[Any]) -> NDArray[np.int64]:
    """Return int64 nanoseconds, clipped where they would overflow (years 1677 and 2262)."""
    clipped = np.minimum(np.maximum(milliseconds, -MAX_EVENT_MS), MAX_EVENT_MS)
    nanoseconds: NDArray[np.int64] = clipped.astype(np.int64) * np.int64(1_000_000)
    return nanoseconds
