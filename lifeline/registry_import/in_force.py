"""The one call that puts a site's files in force in a running system."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from lifeline.data_folder import holder_pid
from lifeline.errors import Failure
from lifeline.ledger.mirror import ControlRefused, ask
from lifeline.preflight import in_force, read_site

if TYPE_CHECKING:
    from pathlib import Path

    from lifeline.config import CityConfig


def put_in_force(config: CityConfig, data: Path) -> str:
    """Let a running system take up the registry's files by a Control record; say what came of it.

    A stopped system takes the files up at its next start. Asking again is harmless: what is in
    force already is not journaled a second time.

    Raises
    ------
    Failure
        The system runs and does not take it: says why. The files are as they were applied.
    """
    if holder_pid(data) is None:
        return "no system runs on this data folder: its next start takes the registry up"
    site = read_site(config, data)
    before = in_force(data)
    if before is not None and before.content_hash == site.registry_hash:
        return "the running system has this registry in force"
    site.store(data)
    line = json.dumps({"type": "registry", "data": {"hash": site.registry_hash}})
    try:
        offset = ask(data / "run" / "control.sock", line)
    except (OSError, ControlRefused) as error:
        said = "the files are applied, but the running system did not take them up"
        remedy = "run the import again, or restart the system"
        raise Failure(f"{data}: {said} ({error}): {remedy}") from error
    return f"in force from journal offset {offset}"
