"""The ledger: what happened, exactly once, and what people did about it."""

from lifeline.ledger.book import Outlet
from lifeline.ledger.cursors import Cursor
from lifeline.ledger.errors import (
    Conflict,
    LedgerError,
    Refused,
    Unavailable,
    Unknown,
    Unseen,
)
from lifeline.ledger.hand_over import HandOver, HandOvers
from lifeline.ledger.ledger import Applied, Ledger
from lifeline.ledger.mirror import mirror
from lifeline.ledger.proof_tests import ProofTested, ProofTests
from lifeline.ledger.stand_in import StandIn

__all__ = [
    "Applied",
    "Conflict",
    "Cursor",
    "HandOver",
    "HandOvers",
    "Ledger",
    "LedgerError",
    "Outlet",
    "ProofTested",
    "ProofTests",
    "Refused",
    "StandIn",
    "Unavailable",
    "Unknown",
    "Unseen",
    "mirror",
]
