"""Whose events they are: those that the ledger itself adds."""

from __future__ import annotations

from typing import Final

LEDGER_PARTITION: Final = "ledger"
"""Events the ledger itself adds (ACKED, ENDED, …): their offset is their own number."""
