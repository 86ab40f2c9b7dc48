"""How the alarms of a rule live: what a rule says of latching, shelving, repeating, chattering.

The engine puts what a rule says into the event that raises an alarm, so that every fold of the
events knows it: an alarm lives as its rule said when it was raised.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

HOUR_NS: Final = 3_600_000_000_000
MINUTE_NS: Final = 60_000_000_000
ORANGE: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """What holds where a rule says nothing. Counts and windows: the usual figures of ISA-18.2."""

    latch: tuple[bool, bool, bool, bool] = (False, True, True, True)
    """By severity from 1: whether an alarm that returned waits for a person."""
    ack: str = "required"  # required | comment (only with a comment) | none
    shelve_max_ns: int = 8 * HOUR_NS
    chatter_count: int = 3
    chatter_ns: int = MINUTE_NS
    """So many raises within this time are chattering."""
    realarm_ns: int | None = None
    """An acknowledged alarm that still stands is announced again after so long; 0 never. None: 4 h
    for safety alarms of orange and red, never for others."""
    join_ns: int = 0
    """An alarm that returned unseen is the same one if it comes again within this; 0: always."""

    def latches(self, severity: int) -> bool:
        """Tell whether an alarm that reached this severity waits for a person after it returned."""
        return self.ack != "none" and (severity not in range(1, 5) or self.latch[severity - 1])

    def realarms_after(self, severity: int, klass: str) -> int:
        """Return after how many ns an acknowledged alarm is announced again; 0 never."""
        if self.realarm_ns is not None:
            return self.realarm_ns
        return 4 * HOUR_NS if klass == "safety" and severity >= ORANGE else 0

    def said(self) -> dict[str, Any]:
        """Return what is other than the usual, as an event says it."""
        mine = {each.name: getattr(self, each.name) for each in fields(self)}
        other = {name: value for name, value in mine.items() if value != getattr(USUAL, name)}
        return {name: list(v) if isinstance(v, tuple) else v for name, v in other.items()}

    @classmethod
    def of(cls, said: Mapping[str, Any]) -> Life:
        """Return what an event says; what a later version added is left out."""
        known = {each.name for each in fields(cls)}
        own = {name: value for name, value in said.items() if name in known}
        if "latch" in own:
            own["latch"] = tuple(own["latch"])
        return cls(**own) if own else USUAL


USUAL: Final = Life()
