"""One table of ``city.toml``, ``[tls]``, locks all doors: broker, page, InfluxDB and webhook.

What it cannot lock it says: CoAP is not encrypted here, so beyond loopback somebody has to write
that it may be plain.
"""

from __future__ import annotations

import os
import re
import stat
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lifeline.settings.config import CityConfig, CityEntry
    from lifeline.settings.toml_text import TomlDocument

AUTHORITY: Final = "ca.crt"
PAGE: Final = ("page.crt", "page.key")
LOOPBACK: Final = re.compile(r"127\.\d+\.\d+\.\d+|::1|localhost")


def with_tls(entry: CityEntry) -> CityEntry:
    """Return the configuration with what ``[tls]`` means for the other tables written out."""
    if entry.tls is None:
        return entry
    ours = f"{entry.tls.folder}/{AUTHORITY}"
    changed: dict[str, object] = {}
    if entry.mqtt is not None:
        told = {"tls": True, "ca_file": entry.mqtt.ca_file or ours}
        changed["mqtt"] = entry.mqtt.model_copy(update=told)
    for table in ("influx", "webhook", "heartbeat"):
        part = getattr(entry, table)
        if part is not None:
            changed[table] = part.model_copy(update={"ca_file": part.ca_file or ours})
    changed["outlet"] = _outlets(entry, ours)
    return entry.model_copy(update=changed)


def _outlets(entry: CityEntry, ours: str) -> object:
    """Return the outlets with our authority; a broker's is the only one that is trusted."""
    kinds: dict[str, dict[str, object]] = {}
    for kind, name, part in entry.outlet.each():
        told: dict[str, object] = {"ca_file": part.ca_file or ours}
        if kind == "mqtt":
            told["tls"] = True
        kinds.setdefault(kind, {})[name] = part.model_copy(update=told)
    return entry.outlet.model_copy(update=kinds)


def check_tls(config: CityConfig, document: TomlDocument, *, made: bool) -> None:
    """Note what would stay unlocked beside ``[tls]``; ``made`` = its files must be there."""
    if config.entry.tls is None:
        return
    for table, key, said in _open_doors(config.entry):
        document.problem((table, key), f"{key}: {said}", noun="key")
    if not made:
        return
    folder = config.path(config.entry.tls.folder)
    missing = [name for name in (AUTHORITY, *PAGE) if not os.access(folder / name, os.R_OK)]
    if missing:
        said = f"folder: {folder / missing[0]} cannot be read; "
        said += f"`lifeline site certificates {config.folder}` makes it"
        document.problem(("tls", "folder"), said, noun="key")
    elif stat.S_IMODE((folder / PAGE[1]).stat().st_mode) & 0o007:
        said = f"folder: anybody on this machine can read {folder / PAGE[1]}; chmod 600 it"
        document.problem(("tls", "folder"), said, noun="key")


def _open_doors(entry: CityEntry) -> Iterator[tuple[str, str, str]]:
    """Yield (table, key, what to do) of what [tls] does not go together with."""
    both = "[tls] locks all doors; take this line, or the table [tls], away"
    mqtt, influx, webhook, coap = entry.mqtt, entry.influx, entry.webhook, entry.coap
    if mqtt is not None and "tls" in mqtt.model_fields_set and not mqtt.tls:
        yield "mqtt", "tls", both
    if influx is not None and not influx.verify_tls:
        yield "influx", "verify_tls", both
    for table, url in (
        ("influx", influx.url if influx else ""),
        ("webhook", webhook.url if webhook else ""),
    ):
        if url.startswith("http://"):
            yield table, "url", "with [tls] only https:// is spoken; write https:// and its port"
    if coap is not None and not LOOPBACK.fullmatch(coap.bind) and not coap.plain:
        said = f"{coap.bind}: CoAP is not encrypted here, [tls] cannot change that (CoAP 不加密); "
        said += "take [coap] away, or write plain = true if only your operator's APN reaches it"
        yield "coap", "bind", said
