"""What is wrong with the outlets and routes of ``city.toml``, each with its place and remedy.

What only registry and rules can tell (districts, domains, levels) is asked where those are read.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from paho.mqtt.client import topic_matches_sub

from ingest.secret_words import noted
from lifeline.settings.outlet_entries import (
    AlertmanagerEntry,
    EmailEntry,
    MqttOutEntry,
    RobotEntry,
    WecomEntry,
)
from lifeline.settings.tls_option import LOOPBACK
from rules.problems import near_or_known
from rules.vocabulary import DOMAINS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lifeline.settings.config import CityConfig
    from lifeline.settings.outlet_entries import OutletEntry
    from lifeline.settings.toml_text import TomlDocument
    from rules.plan import Plan
    from rules.registry import Registry

Place = tuple[str | int, ...]
SYSTEM: Final = "system"
LEAST_SECRET: Final = 16  # characters of what signs work orders
_URL: Final = re.compile(r"https?://[^\s/@]+/\S+")
_HTTP: Final = "with [tls] only https:// is spoken; write https:// and its port"
_BOTH: Final = "[tls] locks all doors; take this line, or the table [tls], away"


def outlet_names(config: CityConfig) -> list[str]:
    """Return every outlet by the name that routes and escalations call it."""
    named = [f"{kind}:{name}" for kind, name, _ in config.entry.outlet.each()]
    return [*(["webhook"] if config.entry.webhook is not None else []), *named]


def check_outlets(config: CityConfig, document: TomlDocument) -> None:
    """Note what is wrong with outlets, departments, routes and the way back."""
    for kind, name, entry in config.entry.outlet.each():
        place: Place = ("outlet", kind, name)
        for key, said in _wrong(config, kind, entry):
            document.problem((*place, key), f"{key}: {said}", noun="key")
    _check_targets(config, document)
    _check_work_orders(config, document)
    _check_cap(config, document)


def _check_cap(config: CityConfig, document: TomlDocument) -> None:
    """Note a platform that would be told unsigned, or in the clear."""
    entry = config.entry.cap
    if entry is None or entry.url is None:
        return
    host = urlsplit(entry.url).hostname or ""
    clear = entry.url.startswith("http://")
    if clear and (config.entry.tls is not None or not LOOPBACK.fullmatch(host)):
        said = "url: only https:// is spoken to another machine; write the platform's https://…"
        document.problem(("cap", "url"), said, noun="key")
    if "@" in urlsplit(entry.url).netloc:
        said = "url: a user or password stands in it, and it is shown; take it out"
        document.problem(("cap", "url"), said, noun="key")
    if entry.secret_file is None and entry.secret_env is None:
        said = 'url: messages are signed; add secret_file = "…" or secret_env = "…"'
        document.problem(("cap", "url"), said, noun="key")


def _wrong(config: CityConfig, kind: str, entry: OutletEntry) -> Iterator[tuple[str, str]]:
    """Yield (key, what to do) of one outlet."""
    locked = config.entry.tls is not None
    if isinstance(entry, AlertmanagerEntry):
        if "@" in entry.url.split("/")[2]:
            yield "url", "a user or password stands in it, and it is shown; use user, password_file"
        if locked and entry.url.startswith("http://"):
            yield "url", _HTTP
    elif isinstance(entry, MqttOutEntry):
        yield from _wrong_mqtt(config, entry, locked=locked)
    elif isinstance(entry, EmailEntry):
        plain = entry.security == "plain"
        if locked and plain:
            yield "security", _BOTH
        elif plain and entry.user and not LOOPBACK.fullmatch(entry.host):
            yield "security", "the password would go in the clear; write starttls or tls"
    elif isinstance(entry, RobotEntry):
        yield from _wrong_robot(config, kind, entry, locked=locked)
    user = getattr(entry, "user", "")
    if user and not (getattr(entry, "password_file", "") or getattr(entry, "password_env", "")):
        yield "user", 'has no password; add password_file = "…" or password_env = "…"'


def _wrong_mqtt(
    config: CityConfig, entry: MqttOutEntry, *, locked: bool
) -> Iterator[tuple[str, str]]:
    if locked and "tls" in entry.model_fields_set and not entry.tls:
        yield "tls", _BOTH
    ours = [f"{entry.prefix}/{rest}" for rest in ("event", "status", "alarm/0")]
    for topic in config.entry.mqtt.topics if config.entry.mqtt is not None else ():
        if any(topic_matches_sub(topic, each) for each in ours):
            yield "prefix", f"{topic!r} of [mqtt] would take it for readings; choose another prefix"


def _wrong_robot(
    config: CityConfig, kind: str, entry: RobotEntry, *, locked: bool
) -> Iterator[tuple[str, str]]:
    key = "url_file" if entry.url_file is not None else "url_env"
    if entry.url_file is None and entry.url_env is None:
        yield "url_file", 'is missing; put the robot\'s address into a file: url_file = "…"'
        return
    if entry.url_file and not os.access(config.path(entry.url_file), os.R_OK):
        return  # told where all files are looked at
    url = config.secret(entry.url_file, entry.url_env)
    if not _URL.fullmatch(url):
        yield key, "holds no address; one line, https://…, as the group's settings show it"
        return
    host = url.split("/")[2].rpartition(":")[0] or url.split("/")[2]
    if url.startswith("http://") and (locked or not LOOPBACK.fullmatch(host)):
        yield key, "only https:// is spoken to robots: the address itself is the key"
    if isinstance(entry, WecomEntry) and (entry.secret_file or entry.secret_env):
        said = f"{kind} robots check no signature; take this line away"
        yield "secret_file" if entry.secret_file else "secret_env", said


def _check_targets(config: CityConfig, document: TomlDocument) -> None:
    """Note departments and routes that name outlets which are not there."""
    known = outlet_names(config)
    departments = [f"department:{name}" for name in config.entry.department]
    for name, department in config.entry.department.items():
        for each in department.outlets:
            if each not in known:
                said = f"outlets: no outlet {each!r}{near_or_known(each, known)}; {_make(each)}"
                document.problem(("department", name, "outlets"), said, noun="key")
    for at, route in enumerate(config.entry.route):
        for each in route.to:
            if each not in known and each not in departments:
                there = [*known, *departments]
                said = f"to: nobody is called {each!r}{near_or_known(each, there)}; {_make(each)}"
                document.problem(("route", at, "to"), said, noun="key")


def _make(target: str) -> str:
    kind, _, name = target.partition(":")
    if kind == "department":
        return f"write [department.{name}]"
    return "write [webhook]" if target == "webhook" else f"write [outlet.{kind}.{name}]"


def _check_work_orders(config: CityConfig, document: TomlDocument) -> None:
    entry = config.entry.work_orders
    if entry is None:
        return
    if entry.secret_file is not None and not os.access(config.path(entry.secret_file), os.R_OK):
        return  # told where all files are looked at
    length = len(config.secret(entry.secret_file, entry.secret_env))
    if length < LEAST_SECRET:
        key = "secret_env" if entry.secret_env else "secret_file"
        said = f"{key}: the key has {length} characters; name a file of {LEAST_SECRET} or more: "
        said += "openssl rand -hex 32"
        document.problem(("work_orders", key), said, noun="key")


def check_routes(
    config: CityConfig, document: TomlDocument, registry: Registry, plan: Plan
) -> None:
    """Note routes for domains, levels and districts that this site does not have."""
    own = set(registry.assets.domain) | {d.name for d in registry.vocabulary.domains}
    domains = sorted({*DOMAINS, *own, SYSTEM})
    levels = [level.name for level in plan.levels]
    districts = sorted({name for name in registry.assets.district if name})
    for at, route in enumerate(config.entry.route):
        for key, words, known in (
            ("domain", route.domain, domains),
            ("level", route.level, levels),
            ("district", route.district, districts),
        ):
            for word in words or ():
                if word not in known:
                    said = f"{key}: this site has no {key} {word!r}{near_or_known(word, known)}"
                    document.problem(("route", at, key), said, noun="key")


def note_robot(url: str) -> str:
    """Note the secret parts of a robot's address too: an error may say one of them alone."""
    for part in re.split(r"[/?&=#]", url):
        if len(part) >= LEAST_SECRET:
            noted(part)
    return noted(url)
