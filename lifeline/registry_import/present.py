"""The registry as it stands, as the plain values of its files, so that a table is laid over it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from rules.durations import format_duration
from rules.registry_file import gathered_of, read_texts
from rules.registry_texts import pending, read_registry_text

if TYPE_CHECKING:
    from pathlib import Path

    from rules.registry_file import Gathered

Entry = dict[str, Any]
LISTS: Final = {
    "domain": "domains", "quantity": "quantities", "site": "sites", "device": "devices",
    "asset": "assets",
}  # fmt: skip
NOUNS: Final = tuple(LISTS)
_SHORT: Final = ("every", "window")  # durations, nanoseconds in a model


@dataclass(slots=True)
class Present:
    """Entries by id, defaults left away; ``file`` says where each ``(noun, id)`` stands."""

    simulation: bool = False
    domains: dict[str, Entry] = field(default_factory=dict)
    quantities: dict[str, Entry] = field(default_factory=dict)
    sites: dict[str, Entry] = field(default_factory=dict)
    devices: dict[str, Entry] = field(default_factory=dict)
    assets: dict[str, Entry] = field(default_factory=dict)
    file: dict[tuple[str, str], str] = field(default_factory=dict)
    files: tuple[str, ...] = ()
    texts: dict[str, str] = field(default_factory=dict)

    def entries(self, noun: str) -> dict[str, Entry]:
        """Return the entries of a noun (asset, quantity, …) by id."""
        held: dict[str, Entry] = getattr(self, LISTS[noun])
        return held


def read_present(folder: Path) -> Present:
    """Return what a registry's folder says; nothing where it holds no file yet.

    Raises
    ------
    rules.problems.Invalid
        Every problem of the files there: they are to be mended before anything is laid over them.
    """
    if not folder.is_dir():
        return Present()
    if not pending(folder) and not any(p.suffix in (".yaml", ".yml") for p in folder.iterdir()):
        return Present()
    texts = read_texts(folder)
    documents = [read_registry_text(name, text) for name, text in sorted(texts.items())]
    present = present_of(gathered_of(documents), tuple(sorted(texts)))
    present.texts = texts
    return present


def present_of(gathered: Gathered, files: tuple[str, ...] = ()) -> Present:
    """Return checked entries as plain values."""
    present = Present(simulation=gathered.simulation, files=files)
    for noun in NOUNS:
        held = present.entries(noun)
        for name, model in gathered.entries(noun).items():
            held[name] = _written(model.model_dump(by_alias=True, exclude_defaults=True))
            present.file[noun, name] = gathered.where[noun, name][0].name
    return present


def _written(entry: Entry) -> Entry:
    """Return an entry with durations as files write them, in place."""
    for key in _SHORT:
        if isinstance(entry.get(key), int):
            entry[key] = format_duration(entry[key])
    if entry.get("derived"):
        _written(entry["derived"])
    for part in (*entry.get("sensors", ()), *entry.get("channels", ())):
        _written(part)
    return entry


def effective(sensor: Entry, channel: Entry) -> Entry:
    """Return a channel with what it has from its sensor."""
    own = dict(channel)
    if "lel_basis" not in own and "lel_basis" in sensor:
        own["lel_basis"] = sensor["lel_basis"]
    if sensor.get("tags"):
        own["tags"] = {**sensor["tags"], **own.get("tags", {})}
    return own
