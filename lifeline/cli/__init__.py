"""The command line: ``lifeline …``. Each command imports what it needs, so --help is quick."""

from __future__ import annotations

import sys

from rich.console import Console

from ingest.journal.errors import JournalError
from lifeline.cli.app import app
from lifeline.errors import EXIT_CODE, Failure
from lifeline.ledger.errors import LedgerError, Refused
from rules.problems import Invalid


def main() -> None:
    """Run a command; what a person must mend is told in lines, with exit code 2."""
    try:
        app()
    except (Failure, Invalid, JournalError, LedgerError) as error:
        said = Console(stderr=True, highlight=False, soft_wrap=True)
        for line in str(error).splitlines():
            said.print(f"lifeline: {line}", markup=False)
        if isinstance(error, Refused) and error.remedy:
            said.print(f"lifeline: {error.remedy}", markup=False)
        sys.exit(EXIT_CODE)
