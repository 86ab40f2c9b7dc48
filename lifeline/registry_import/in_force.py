"""The one call that puts a site's files in force in a running system, or says that none runs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from lifeline.data_folder import holder_pid
from lifeline.errors import Failure
from lifeline.ledger.mirror import ControlRefused, ask
from lifeline.preflight import read_site

if TYPE_CHECKING:
    from pathlib import Path

    from lifeline.config import CityConfig


def put_in_force(config: CityConfig, data: Path) -> int | None:
    """Return the journal offset of the Control record that names the registry; None: not running.

    A stopped system takes the files up at its next start. Asking again is harmless: a registry
    is journaled once as long as no other came between.

    Raises
    ------
    Failure
        The system runs and does not take it: says why. The files are as they were applied.
    """
    if holder_pid(data) is None:
        return None
    site = read_site(config, data)
    site.store(data)
    line = json.dumps({"type": "registry", "data": {"hash": site.registry_hash}})
    try:
        return ask(data / "run" / "control.sock", line)
    except (OSError, ControlRefused) as error:
        said = "the files are applied, but the running system did not take them up"
        remedy = "run the import again, or restart the system"
        raise Failure(f"{data}: {said} ({error}): {remedy}") from error
