"""Certificates for tests of TLS: good ones, and each kind of bad one, by our own maker."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from unittest.mock import patch

from lifeline.certificates import make_certificates

if TYPE_CHECKING:
    from pathlib import Path

YEAR = timedelta(days=365)


@dataclass(frozen=True)
class Certified:
    """A folder that ``lifeline site certificates`` made; ``of`` is (certificate, key)."""

    folder: Path

    @property
    def authority(self) -> Path:
        return self.folder / "ca.crt"

    def of(self, role: str) -> tuple[Path, Path]:
        return self.folder / f"{role}.crt", self.folder / f"{role}.key"


def good(folder: Path, *hosts: str) -> Certified:
    make_certificates(folder, hosts)
    return Certified(folder)


def ended(folder: Path) -> Certified:
    """The authority holds, what it signed has ended."""
    make_certificates(folder, [], now=datetime.now(UTC) - YEAR, days=30)
    return Certified(folder)


def not_yet(folder: Path) -> Certified:
    make_certificates(folder, [], now=datetime.now(UTC) + YEAR)
    return Certified(folder)


def elsewhere(folder: Path) -> Certified:
    """For another machine, not for this one."""
    with patch("lifeline.certificates._THIS_MACHINE", ("elsewhere.example",)):
        make_certificates(folder, [])
    return Certified(folder)
