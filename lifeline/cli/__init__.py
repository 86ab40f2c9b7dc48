"""The command line: ``lifeline …``. Each command imports what it needs, so --help is quick."""

from __future__ import annotations

import sys

from rich.console import Console

from lifeline.cli.app import app
from lifeline.errors import EXIT_CODE


def main() -> None:
    """Run a command; what a person must mend is told in lines, with exit code 2."""
    try:
        app()
    except Exception as error:
        if not _for_a_person(error):
            raise
        said = Console(stderr=True, highlight=False, soft_wrap=True)
        lines = [*str(error).splitlines(), getattr(error, "remedy", "")]
        for line in filter(None, lines):
            said.print(f"lifeline: {line}", markup=False)
        sys.exit(EXIT_CODE)


def _for_a_person(error: Exception) -> bool:
    """Tell whether an error names a place, a value and a remedy; imported only when needed."""
    from ingest.journal.errors import JournalError
    from lifeline.errors import Failure
    from lifeline.ledger.errors import LedgerError
    from rules.problems import Invalid

    return isinstance(error, (Failure, Invalid, JournalError, LedgerError))
