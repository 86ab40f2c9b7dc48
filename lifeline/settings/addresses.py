"""The addresses of ``city.toml``: nothing secret in those it shows, the secret ones well formed."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from lifeline.settings.ledger_address import server_url

if TYPE_CHECKING:
    from lifeline.settings.config import CityConfig
    from lifeline.settings.toml_text import TomlDocument

_URL: Final = re.compile(r"https?://[^\s/]+\S*")


def check_addresses(config: CityConfig, document: TomlDocument) -> None:
    """Note addresses that hold a password, or a sign of life that nobody would get."""
    for table in ("influx", "webhook"):
        part = getattr(config.entry, table)
        if part is not None and "@" in urlsplit(part.url).netloc:
            said = "url: a user or password stands in it, and it is shown; name a file instead"
            document.problem((table, "url"), said, noun="key")
    _check_ledger(config, document)
    heartbeat = config.entry.heartbeat
    if heartbeat is None:
        return
    if heartbeat.url_file is None and heartbeat.url_env is None:
        said = 'needs url_file = "…" or url_env = "…": where the sign of life is sent to'
        document.problem(("heartbeat",), said, noun="key", key=True)
        return
    key = "url_file" if heartbeat.url_file is not None else "url_env"
    if heartbeat.url_file and not os.access(config.path(heartbeat.url_file), os.R_OK):
        return  # told where all files are looked at
    url = config.secret(heartbeat.url_file, heartbeat.url_env)
    if not _URL.fullmatch(url):
        said = f"{key}: holds no address; one line, https://…, as the service outside gives it"
        document.problem(("heartbeat", key), said, noun="key")
    elif config.entry.tls is not None and not url.startswith("https://"):
        said = f"{key}: with [tls] only https:// is spoken; ask the service for such an address"
        document.problem(("heartbeat", key), said, noun="key")


def _check_ledger(config: CityConfig, document: TomlDocument) -> None:
    entry = config.entry.ledger
    if entry.url_file and not os.access(config.path(entry.url_file), os.R_OK):
        return  # told where all files are looked at
    try:
        server_url(config.secret(entry.url_file, entry.url_env))
    except ValueError as error:
        key = "url_file" if entry.url_file else "url_env"
        document.problem(("ledger", key), f"{key}: {error}", noun="key")
