"""What stops the store or the archive until a person has acted; each says what to do.

StoreError
├── RegistryMissing    restore registry/<hash>.json: without it rows have no names
├── CorrectionMissing  restore corrections/<hash>.parquet: the journal names it
├── TokenUnreadable    make the token's file readable
├── ManifestDamaged    restore the archive's manifest, or begin a new archive
└── ArchiveLocked      stop the other writer of the archive

Beside them stand the journal's own (ingest/journal/errors.py). What a server answers is no such
error: see ingest/store/influx.py.
"""

# ruff: noqa: N818 - they say what happened

from __future__ import annotations


class StoreError(Exception):
    """Any of the errors above."""


class RegistryMissing(StoreError):
    """The text of a registry that the journal names is not in the data folder."""


class CorrectionMissing(StoreError):
    """A file of corrected readings that the journal names is not in the data folder."""


class TokenUnreadable(StoreError):
    """The file that should hold InfluxDB's token cannot be read."""


class ManifestDamaged(StoreError):
    """The archive's manifest exists and cannot be read."""


class ArchiveLocked(StoreError):
    """Another process writes this archive."""
