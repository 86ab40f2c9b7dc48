"""The tables of ``city.toml`` about weather: ``[weather.NAME]``, an address readings come from."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Final
from urllib.parse import urlsplit

import httpx
from pydantic import Field

from ingest.secret_words import without_secrets
from ingest.sources.pull import NotServed, PullSettings, fetched
from ingest.tls import trusting
from lifeline.tls_option import LOOPBACK
from rules.registry_models import TypedId
from rules.strict_models import DurationNs, Strict

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lifeline.config import CityConfig
    from lifeline.toml_text import TomlDocument

SECOND_NS: Final = 10**9
HOUR_NS: Final = 3_600 * SECOND_NS
_URL: Final = re.compile(r"https?://[^/\s@]+(/\S*)?")


class PulledEntry(Strict):
    """An address that is asked every so often; with a key in it, it stands in a file."""

    url: Annotated[str, Field(max_length=2_000)] | None = None
    url_file: str | None = None
    url_env: str | None = None
    token_file: str | None = None
    token_env: str | None = None
    header: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9-]{0,63}$")] = "Authorization"
    ca_file: str | None = None  # beside the machine's authorities
    every: Annotated[DurationNs, Field(ge=10 * SECOND_NS, le=24 * HOUR_NS)] = 600 * SECOND_NS


class WeatherEntry(PulledEntry):
    """A station's JSON, as frames of ``pull/NAME/<device>`` that a mapping reads."""

    device: TypedId  # of the registry: whose readings they are


def address_of(config: CityConfig, entry: PulledEntry) -> str:
    """Return the address, wherever it stands."""
    return entry.url or config.secret(entry.url_file, entry.url_env)


def headers_of(config: CityConfig, entry: PulledEntry) -> dict[str, str]:
    """Return what shows the token, if there is one."""
    token = config.secret(entry.token_file, entry.token_env)
    if not token:
        return {}
    usual = entry.header.lower() == "authorization"
    return {entry.header: f"Bearer {token}" if usual else token}


def pulls_of(config: CityConfig) -> tuple[PullSettings, ...]:
    """Return every address readings are pulled from."""
    return tuple(
        PullSettings(
            name=name,
            device=entry.device,
            url=address_of(config, entry),
            every_s=entry.every / 1e9,
            headers=headers_of(config, entry),
            ca_file=str(config.path(entry.ca_file)) if entry.ca_file else None,
        )
        for name, entry in config.entry.weather.items()
    )


def check_weather(config: CityConfig, document: TomlDocument) -> None:
    """Note addresses that are none, or would be asked in the clear."""
    for name, entry in config.entry.weather.items():
        for key, said in address_troubles(config, entry):
            document.problem(("weather", name, key), f"{key}: {said}", noun="key")


def address_troubles(config: CityConfig, entry: PulledEntry) -> Iterator[tuple[str, str]]:
    """Yield (key, what to do) of an address; a file that is missing is told with all files."""
    keys = [key for key in ("url", "url_file", "url_env") if getattr(entry, key)]
    if len(keys) != 1:
        yield "url", 'write one of url = "https://…", url_file and url_env (where it holds a key)'
        return
    try:
        url = address_of(config, entry)
    except OSError:
        return
    if keys[0] != "url" and not url:
        return
    host = (urlsplit(url).hostname or "") if _URL.fullmatch(url) else ""
    if not host:
        yield keys[0], "no address: write https://host/path, without a user or password"
    elif url.startswith("http://") and not LOOPBACK.fullmatch(host):
        yield keys[0], "only https:// is asked on another machine; write its https://…"
    elif entry.url and "?" in url and re.search(r"(key|token|secret|sign)=", url, re.IGNORECASE):
        yield "url", "a key stands in it, and it is shown; put the address into a file: url_file"


def weather_troubles(config: CityConfig) -> Iterator[tuple[str, str]]:
    """Ask every address once; yield (name, "" or why nothing comes)."""
    for each in pulls_of(config):
        yield f"weather {each.name}", asked_once(each.url, dict(each.headers), each.ca_file)


def asked_once(url: str, headers: dict[str, str], ca_file: str | None) -> str:
    """Return why nothing comes from an address, "" if something does."""
    try:
        with httpx.Client(
            timeout=5.0, verify=trusting(ca_file), trust_env=False, headers=headers
        ) as client:
            fetched(client, url)
    except NotServed as error:
        return without_secrets(str(error))
    return ""
