"""Why a program of ours ends before its work is done, by who must act. Exit code 2.

Failure
├── Unreachable   the operator: a server does not answer or refuses us; one line each
├── Occupied      the operator: another instance works in this data folder
├── NewerFolder   the operator: the data folder was written by a newer program
├── OlderFolder   the operator: the data folder is an older one; `lifeline migrate` brings it up
├── BackupDamaged the operator: a file of a backup is not what was written; use another one
├── Rejected      whoever gave a command: ingest does not take it, and says why
├── Missing       the operator: a file, folder or program is not there
├── NotTaken      the operator: the running system did not take a change; what held still holds
└── Crashed       the developers: a process of ours ended again and again; see its log

rules.problems.Invalid (a file's author: rules, registry, configuration, scenario) stands beside it.
"""

# ruff: noqa: N818 - each name says what happened; the word Error would add nothing
from __future__ import annotations

EXIT_CODE = 2


class Failure(Exception):
    """Each line names the place, the value and the remedy."""

    def __init__(self, *lines: str) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


class Unreachable(Failure):
    """Servers that cannot be used now."""


class Occupied(Failure):
    """A second instance on one data folder."""


class NewerFolder(Failure):
    """A data folder of a version this program does not know."""


class OlderFolder(Failure):
    """A data folder that must be migrated first."""


class BackupDamaged(Failure):
    """A backup of which a file is missing or other than it was taken."""


class Rejected(Failure):
    """A command that ingest does not take."""


class Missing(Failure):
    """Something that must be there is not."""


class NotTaken(Failure):
    """A change that the running system did not take."""


class Crashed(Failure):
    """A process that does not stay up."""
