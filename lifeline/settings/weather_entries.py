"""The tables of ``city.toml`` about weather: readings that are pulled, and official warnings."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Final
from urllib.parse import urlsplit

import httpx
from pydantic import Field

from ingest.secret_words import without_secrets
from ingest.sources.pull import NotServed, PullSettings, fetched
from ingest.tls import trusting
from lifeline.bulletins.feed import FeedSettings
from lifeline.bulletins.subscriber import TopicSettings
from lifeline.reachable import broker_port
from lifeline.settings.tls_option import LOOPBACK
from rules.registry_models import TypedId
from rules.strict_models import DurationNs, Strict

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lifeline.settings.config import CityConfig
    from lifeline.settings.toml_text import TomlDocument

SECOND_NS: Final = 10**9
HOUR_NS: Final = 3_600 * SECOND_NS
LEAST_SECRET: Final = 16  # characters of what signs posted warnings
Sender = Annotated[str, Field(pattern=r"^[^\s,<&]{1,200}$")]
Host = Annotated[str, Field(pattern=r"^[A-Za-z0-9.-]{1,253}$")]
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


class WarningsEntry(PulledEntry):
    """Official warnings, CAP 1.2: posted (secret), pulled (url), published to us (topic)."""

    every: Annotated[DurationNs, Field(ge=10 * SECOND_NS, le=24 * HOUR_NS)] = 60 * SECOND_NS
    secret_file: str | None = None
    secret_env: str | None = None
    senders: Annotated[list[Sender], Field(max_length=50)] = Field(default=[])
    hosts: Annotated[list[Host], Field(max_length=50)] = Field(default=[])  # beside the feed's own
    topic: Annotated[str, Field(pattern=r"^[^+#\x00-\x1f]{1,200}$")] | None = None

    @property
    def pulled(self) -> bool:
        """Tell whether there is an address."""
        return bool(self.url or self.url_file or self.url_env)


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
    if config.entry.warnings is not None:
        for key, said in _warnings_troubles(config, config.entry.warnings):
            document.problem(("warnings", key), f"{key}: {said}" if key else said, noun="key")


def _warnings_troubles(config: CityConfig, entry: WarningsEntry) -> Iterator[tuple[str, str]]:
    posted = bool(entry.secret_file or entry.secret_env)
    if not (posted or entry.pulled or entry.topic):
        yield "", "no way in: write url (a feed), topic (of [mqtt]) or secret_file (who posts)"
    if entry.pulled:
        yield from address_troubles(config, entry)
    if entry.topic is not None and config.entry.mqtt is None:
        yield "topic", "there is no [mqtt] broker to read it from; add that table"
    if entry.topic is not None and entry.topic.startswith("lifeline/"):
        yield "topic", "lifeline/… is the devices'; choose another, such as warnings/cap"
    if posted:
        try:
            length = len(config.secret(entry.secret_file, entry.secret_env))
        except OSError:
            return  # told with all files
        if length < LEAST_SECRET and (entry.secret_file or length):
            key = "secret_env" if entry.secret_env else "secret_file"
            yield (
                key,
                (
                    f"the key has {length} characters; name a file of {LEAST_SECRET} or more: "
                    "openssl rand -hex 32"
                ),
            )


def warnings_key_of(config: CityConfig) -> bytes | None:
    """Return the key of who posts warnings, None where nobody does."""
    entry = config.entry.warnings
    if entry is None or not (entry.secret_file or entry.secret_env):
        return None
    return config.secret(entry.secret_file, entry.secret_env).encode()


def feed_of(config: CityConfig) -> FeedSettings | None:
    """Return where warnings are published, None where they are not pulled."""
    entry = config.entry.warnings
    if entry is None or not entry.pulled:
        return None
    return FeedSettings(
        url=address_of(config, entry),
        every_s=entry.every / 1e9,
        hosts=tuple(entry.hosts),
        headers=headers_of(config, entry),
        ca_file=str(config.path(entry.ca_file)) if entry.ca_file else None,
    )


def topic_of(config: CityConfig) -> TopicSettings | None:
    """Return the broker's topic of warnings, None where there is none."""
    entry, mqtt = config.entry.warnings, config.entry.mqtt
    if entry is None or entry.topic is None or mqtt is None:
        return None
    return TopicSettings(
        host=mqtt.host,
        port=broker_port(mqtt),
        topic=entry.topic,
        user=mqtt.user,
        password=config.secret(mqtt.password_file, mqtt.password_env),
        tls=mqtt.tls,
        ca_file=str(config.path(mqtt.ca_file)) if mqtt.ca_file else None,
        client_id=f"{mqtt.client_id}-warnings"[:64],
    )


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
    if (feed := feed_of(config)) is not None:
        yield "warnings", asked_once(feed.url, dict(feed.headers), feed.ca_file)


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
