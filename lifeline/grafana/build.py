"""Makes the dashboards' files from a site's registry and rules; equal input, equal bytes."""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lifeline.errors import Missing
from lifeline.grafana.boards import boards
from lifeline.grafana.city import BUCKET, City
from lifeline.grafana.features import asking_both
from lifeline.grafana.sdk import dashboard_json
from lifeline.packs import copy_packs
from lifeline.settings.config import FILE_NAME
from rules.language import compile_plan, load_rules
from rules.registry_file import load_registry
from simulators.city import write_registry

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER: Final = Path("grafana/dashboards")
_MARK: Final = re.compile(r" \[lifeline grafana build, ([0-9a-f]{16})\]$")


def site_city(site: Path | None) -> City:
    """Return the city of a site's folder; without one the demo city under the shipped rules.

    Raises
    ------
    Missing
        The folder has no registry or no rules.
    Invalid
        With every problem of its files.
    """
    if site is None:
        with tempfile.TemporaryDirectory(prefix="lifeline-grafana-") as name:
            made = Path(name)
            write_registry(made / "registry")
            copy_packs(made / "rules")
            return _city(made)
    for name in ("registry", "rules"):
        if not (site / name).is_dir():
            raise Missing(
                f"{site / name}: no such folder; --site names a city's folder (lifeline init)"
            )
    return _city(site)


def _city(folder: Path) -> City:
    registry = load_registry(folder / "registry")
    plan, _warnings = compile_plan(load_rules(folder / "rules"), registry)
    return City(registry, plan.without_shadows(), bucket=_bucket(folder))


def _bucket(folder: Path) -> str:
    """Return the bucket a site's file names; its secrets need not be there."""
    path = folder / FILE_NAME
    held = tomllib.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return str(held.get("influx", {}).get("bucket", BUCKET))


def files(city: City) -> Iterator[tuple[str, str]]:
    """Yield (file name, text) of every dashboard, in the order of the menu."""
    for board in boards(city):
        held = dashboard_json(board)
        if any(city.registry.channels.derived):
            held = asking_both(held, f"{city.bucket}_features")
        yield f"{board.uid}.json", marked(held)


def marked(dashboard: dict[str, Any]) -> str:
    """Return the text of a file; its description ends in a fingerprint of all the rest."""
    said = _MARK.sub("", str(dashboard["description"]))
    bare = {**dashboard, "description": said}
    digest = hashlib.sha256(_text(bare).encode()).hexdigest()[:16]
    return _text({**bare, "description": f"{said} [lifeline grafana build, {digest}]"})


def own(text: str) -> bool:
    """Tell whether a text was written by ``marked`` and is as it was written."""
    try:
        read = json.loads(text)
    except ValueError:
        return False
    if not isinstance(read, dict) or not _MARK.search(str(read.get("description", ""))):
        return False
    return marked(read) == text


def _text(dashboard: dict[str, Any]) -> str:
    return json.dumps(dashboard, ensure_ascii=False, indent=1, sort_keys=True) + "\n"
