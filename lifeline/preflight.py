"""Everything of a site folder, checked before anything starts, every mistake told at once."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ingest.codecs.mapping_file import load_mappings
from ingest.control import recover
from ingest.journal import durable_end
from lifeline.errors import Failure, Missing, Unreachable
from lifeline.reachable import check_servers
from lifeline.settings.config import FILE_NAME, load_config
from lifeline.settings.outlet_checks import check_routes
from lifeline.settings.toml_text import read_toml
from rules.language import check, compile_plan, load_rules, rules_bytes, rules_from_bytes
from rules.plan import Plan
from rules.problems import Invalid
from rules.registry import Registry
from rules.registry_codec import content_hash, registry_bytes, registry_from_bytes
from rules.registry_file import load_registry
from rules.yaml_text import raise_errors

if TYPE_CHECKING:
    from pathlib import Path

    from ingest.codecs.json_mapping import Mapping
    from lifeline.settings.config import CityConfig
from rules.language import Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteTexts:
    """What a site's folder says now: compiled, and as the texts Control records name."""

    registry: Registry
    plan: Plan
    warnings: list[Problem]
    registry_text: bytes
    rules_text: bytes
    made_of: dict[str, str] = field(default_factory=dict)
    """The hashes that held when the folder was read; {} before the journal's first."""
    mappings: tuple[Mapping, ...] = ()  # other vendors' JSON, from the folder mappings/

    @property
    def registry_hash(self) -> str:
        """Return the name of the registry's text."""
        return content_hash(self.registry_text)

    @property
    def rules_hash(self) -> str:
        """Return the name of the rules' text."""
        return content_hash(self.rules_text)

    def store(self, data: Path) -> None:
        """Put both texts into the data folder under their hashes, before a record names them."""
        for room, text in (("registry", self.registry_text), ("rules", self.rules_text)):
            folder = data / room
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / f"{content_hash(text)}.json"
            if not path.exists():
                _write_durably(path, text)


def read_site(config: CityConfig, data: Path) -> SiteTexts:
    """Return the site of a folder; channels keep the rows they had in ``data``.

    Raises
    ------
    Invalid
        Every mistake in registry, rules and mappings, and routes that name what is in neither.
    """
    problems: list[Problem] = []
    registry = rules = None
    held = hashes_in_force(data)
    try:
        registry = load_registry(config.registry, previous=_in_force(data, held))
    except Invalid as error:
        problems += error.problems
    today = datetime.now(UTC).date().isoformat()
    try:
        rules = load_rules(config.rules, today=today, shadow=config.shadow)
    except Invalid:  # the sound ones are looked at against the registry too
        problems += check(config.rules, registry, today=today, shadow=config.shadow)
    mappings: list[Mapping] = []
    try:
        mappings = load_mappings(config.folder / "mappings")
    except Invalid as error:
        problems += error.problems
    if registry is None or rules is None or problems:
        raise Invalid(problems)
    plan, warnings = compile_plan(rules, registry)
    _check_routes(config, registry, plan)
    return SiteTexts(
        registry=registry,
        plan=plan,
        warnings=warnings,
        registry_text=registry_bytes(registry),
        rules_text=rules_bytes(rules),
        made_of=held,
        mappings=tuple(mappings),
    )


def _check_routes(config: CityConfig, registry: Registry, plan: Plan) -> None:
    """Refuse routes for what registry and rules do not have: they would tell nobody."""
    if config.entry.route:
        path = config.folder / FILE_NAME
        document = read_toml(str(path), path.read_text(encoding="utf-8-sig"))
        check_routes(config, document, registry, plan)
        raise_errors(document.problems)


def held_site(config: CityConfig, data: Path) -> SiteTexts | None:
    """Return the site the journal named last, None before its first; mappings of the folder.

    Raises
    ------
    Invalid
        Mistakes in the mappings, or stored texts this program does not understand.
    Missing
        A text the journal relies on is gone.
    """
    held = hashes_in_force(data)
    if held.keys() < {"registry", "rules"}:
        return None
    texts = {kind: _stored(data, kind, name) for kind, name in held.items()}
    registry, rules = registry_from_bytes(texts["registry"]), rules_from_bytes(texts["rules"])
    plan, warnings = compile_plan(rules, registry)
    return SiteTexts(
        registry=registry,
        plan=plan,
        warnings=warnings,
        registry_text=texts["registry"],
        rules_text=texts["rules"],
        made_of=held,
        mappings=tuple(load_mappings(config.folder / "mappings")),
    )


def compiled(data: Path, hashes: dict[str, str]) -> tuple[Plan, Registry]:
    """Return plan and registry of stored texts; nothing at all where the hashes are not both.

    Raises
    ------
    Missing
        A text is gone, or this program does not understand it.
    """
    if hashes.keys() < {"registry", "rules"}:
        return Plan(content_hash="", levels=()), Registry.empty()
    registry = registry_from_bytes(_stored(data, "registry", hashes["registry"]))
    try:
        rules = rules_from_bytes(_stored(data, "rules", hashes["rules"]))
        return compile_plan(rules, registry)[0], registry
    except Invalid as error:
        said = f"the rules that hold ({hashes['rules']}) cannot be read by this program: {error}"
        raise Missing(said) from error


def preflight(folder: Path, data: Path | None = None, *, servers: bool = True) -> CityConfig:
    """Check configuration, registry, rules, ports and servers of a folder.

    Raises
    ------
    Failure
        One line for everything that is wrong.
    """
    lines: list[str] = []
    config = None
    try:
        config = load_config(folder)
        read_site(config, data or config.data)
    except (Invalid, Missing) as error:
        lines += str(error).splitlines()
    if config is not None:
        lines += ports_taken(config)
        if servers:
            try:
                check_servers(config)
            except Unreachable as error:
                lines += error.lines
    if config is None or lines:
        raise Failure(*lines)
    return config


def ports_taken(config: CityConfig) -> list[str]:
    """Return a line for each port of ours that another program holds."""
    page, coap = config.entry.page, config.entry.coap
    wanted = [("page", page.bind, page.port, socket.SOCK_STREAM)]
    if coap is not None:
        wanted.append(("coap", coap.bind, coap.port, socket.SOCK_DGRAM))
    lines = []
    for table, host, port, kind in wanted:
        try:
            family = socket.getaddrinfo(host, port, type=kind)[0][0]
            with socket.socket(family, kind) as probe:
                if kind == socket.SOCK_STREAM:
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((host, port))
        except OSError as error:
            said = f"{host}:{port} ([{table}]): {error.strerror}; stop the other program"
            lines.append(f"{said} or set another port")
    return lines


def hashes_in_force(data: Path) -> dict[str, str]:
    """Return the hashes the journal named last, by kind; {} before its first."""
    journal = data / "journal"
    if not journal.is_dir():
        return {}
    return recover(data / "cursors" / "ingest", journal, durable=durable_end(journal)).hashes


def in_force(data: Path) -> Registry | None:
    """Return the registry the journal named last, None before its first."""
    return _in_force(data, hashes_in_force(data))


def _in_force(data: Path, held: dict[str, str]) -> Registry | None:
    """Return the registry that holds, None before the journal's first."""
    name = held.get("registry")
    return registry_from_bytes(_stored(data, "registry", name)) if name is not None else None


def _stored(data: Path, kind: str, name: str) -> bytes:
    path = data / kind / f"{name}.json"
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        said = f"{path}: gone, and the journal's rows mean what it says; restore it from a backup"
        raise Missing(said) from error


def _write_durably(path: Path, text: bytes) -> None:
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    with aside.open("wb") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
