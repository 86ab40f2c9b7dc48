"""Everything of a site folder, checked before anything starts, every mistake told at once."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ingest.codecs.mapping_file import load_mappings
from ingest.control import recover
from ingest.journal import durable_end
from lifeline.config import load_config
from lifeline.errors import Failure, Missing, Unreachable
from lifeline.reachable import check_servers
from rules.language import compile_plan, load_rules, rules_bytes
from rules.problems import Invalid
from rules.registry_codec import content_hash, registry_bytes, registry_from_bytes
from rules.registry_file import load_registry

if TYPE_CHECKING:
    from pathlib import Path

    from ingest.codecs.json_mapping import Mapping
    from lifeline.config import CityConfig
    from rules.language import Problem
    from rules.plan import Plan
    from rules.registry import Registry


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteTexts:
    """What a site's folder says now: compiled, and as the texts Control records name."""

    registry: Registry
    plan: Plan
    warnings: list[Problem]
    registry_text: bytes
    rules_text: bytes
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
        Every mistake in registry, rules and mappings.
    """
    problems: list[Problem] = []
    registry = rules = None
    try:
        registry = load_registry(config.registry, previous=in_force(data))
    except Invalid as error:
        problems += error.problems
    try:
        rules = load_rules(config.rules, today=datetime.now(UTC).date().isoformat())
    except Invalid as error:
        problems += error.problems
    mappings: list[Mapping] = []
    try:
        mappings = load_mappings(config.folder / "mappings")
    except Invalid as error:
        problems += error.problems
    if registry is None or rules is None or problems:
        raise Invalid(problems)
    plan, warnings = compile_plan(rules, registry)
    return SiteTexts(
        registry=registry,
        plan=plan,
        warnings=warnings,
        registry_text=registry_bytes(registry),
        rules_text=rules_bytes(rules),
        mappings=tuple(mappings),
    )


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


def in_force(data: Path) -> Registry | None:
    """Return the registry the journal named last, None before its first."""
    journal = data / "journal"
    if not journal.is_dir():
        return None
    known = recover(data / "cursors" / "ingest", journal, durable=durable_end(journal))
    name = known.hashes.get("registry")
    if name is None:
        return None
    path = data / "registry" / f"{name}.json"
    try:
        return registry_from_bytes(path.read_bytes())
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
