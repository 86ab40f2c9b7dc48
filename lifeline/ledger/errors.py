"""What can go wrong at the ledger, by who must act.

LedgerError
├── Unavailable   the operator of the machine: the database is locked, full or gone; retried
└── Refused       the person at the page: what was asked cannot be done; says why and what can
    ├── Unknown       there is no such alarm
    ├── Unseen        it touches alarms that the person does not see
    └── Conflict      somebody or something was first; ``by`` says who, ``seq`` where it stands
"""

from __future__ import annotations

HELD = "the ledger takes what came while it could not be written; try again 台账补记中，请稍后再试"


class LedgerError(Exception):
    """Root of the tree."""


class Unavailable(LedgerError):  # noqa: N818 - reads as what it says
    """The database did not answer within its bounded wait."""


class Refused(LedgerError):  # noqa: N818 - reads as what it says
    """A command the ledger does not take; nothing was changed."""

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.remedy = remedy


class Unknown(Refused):
    """No alarm has this id."""


class Unseen(Refused):
    """What was ordered touches alarms outside the person's part of the city."""


class Conflict(Refused):
    """The alarm is no longer as the person saw it."""

    def __init__(self, message: str, *, remedy: str, by: str = "", seq: int = 0) -> None:
        super().__init__(message, remedy=remedy)
        self.by = by
        self.seq = seq
