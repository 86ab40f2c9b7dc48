"""The one call that puts a site's files in force in a running system."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifeline.data_folder import holder_pid
from lifeline.errors import Failure
from lifeline.reload import reload_folder
from rules.problems import Invalid

if TYPE_CHECKING:
    from pathlib import Path

    from lifeline.settings.config import CityConfig


def put_in_force(config: CityConfig, data: Path) -> str:
    """Let a running system take up the city's files by a Control record; say what came of it.

    A stopped system takes the files up at its next start. Asking again is harmless: what is in
    force already is not journaled a second time.

    Raises
    ------
    Failure
        The system runs and does not take it: says why. The files are as they were applied.
    """
    if holder_pid(data) is None:
        return "no system runs on this data folder: its next start takes the registry up"
    try:
        done = reload_folder(config.folder, data, how="import")
    except (Failure, Invalid) as error:
        said = "the files are applied, but the running system did not take them up"
        remedy = "run the import again, or restart the system"
        raise Failure(f"{data}: {said} ({error}): {remedy}") from error
    if done.result == "unchanged":
        return "the running system has this registry in force"
    return f"in force from journal offset {done.offset}"
