"""Looks at an installation and a city's folder, and says what is well and what needs a person."""

from __future__ import annotations

import os
import platform
import shutil
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from typing import TYPE_CHECKING, Literal

from ingest.journal import durable_end
from lifeline.broker import program
from lifeline.certificates import SOON, ends_in
from lifeline.clock import Clock
from lifeline.coverage import overdue_channels, today_of
from lifeline.data_folder import holder_pid
from lifeline.errors import Failure, Missing
from lifeline.lag import Lag, lags
from lifeline.ledger import LedgerError
from lifeline.ledger.open import open_ledger
from lifeline.migrations import steps_of, version_of
from lifeline.notify import examined
from lifeline.preflight import ports_taken, read_site
from lifeline.reachable import broker_trouble, influx_trouble, open_to_all
from lifeline.reload.outcome import last
from lifeline.settings.config import load_config
from lifeline.settings.weather_entries import weather_troubles
from lifeline.time_source import discipline, zone_trouble, zone_version
from rules.problems import Invalid

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lifeline.settings.config import CityConfig
    from rules.plan import Plan

State = Literal["ok", "note", "trouble"]
PACKAGES = ("city-lifeline", "numpy", "pyarrow", "duckdb", "paho-mqtt", "aiocoap", "fastapi")
LEAST_FREE_BYTES = 2 << 30
FAR_BEHIND = 10_000  # records
LONG_BEHIND_S = 300


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the table."""

    state: State
    what: str
    found: str
    remedy: str = ""


def examine(folder: Path | None, data: Path | None = None) -> list[Finding]:
    """Return all findings; nothing is changed and nothing is started."""
    held = list(_installation())
    if folder is None:
        held += _time(None)
    if folder is not None:
        config, findings = _configuration(folder)
        held += findings
        held += _time(config)
        where = data or (config.data if config else folder / "data")
        if config is not None:
            held += _site(config, where)
            held += _certificates(config)
            held += _servers(config, running=holder_pid(where) is not None)
        held += _data(where)
    elif data is not None:
        held += _data(data)
    return held


def _installation() -> Iterator[Finding]:
    yield Finding("ok", "Python", platform.python_version())
    for name in PACKAGES:
        try:
            yield Finding("ok", name, version(name))
        except PackageNotFoundError:
            yield Finding("trouble", name, "not installed", "make setup")
    owners = packages_distributions().get("rules", [])
    if "city-lifeline" in owners or not owners:
        yield Finding("ok", "package rules", "ours")
    else:
        said = f"belongs to {', '.join(owners)}"
        yield Finding("trouble", "package rules", said, "use an environment of its own: make setup")
    try:
        yield Finding("ok", "demo's broker", str(program()))
    except Missing as error:
        yield Finding("note", "demo's broker", "not installed", str(error))


def _time(config: CityConfig | None) -> Iterator[Finding]:
    """Tell whether this machine's clock and its time-zone data can be trusted."""
    try:
        held = discipline()
    except OSError as error:
        yield Finding("note", "clock", f"cannot be told: {error}", "look at chronyc tracking")
    else:
        said = f"error at most {held.max_error_s:.3g} s"
        if held.synchronised:
            yield Finding("ok", "clock", f"synchronised, {said}")
        else:
            remedy = "start chrony or systemd-timesyncd; chronyc tracking 请检查时间同步"
            yield Finding("note", "clock", f"not synchronised, {said}", remedy)
    zone = config.entry.site.timezone if config else "Asia/Shanghai"
    version_held = zone_version()
    trouble = zone_trouble(zone, year=datetime.now(UTC).year, version=version_held)
    state: State = "note" if trouble else "ok"
    yield Finding(state, "time zones", trouble or f"{zone}, data of {version_held or 'unknown'}")


def _configuration(folder: Path) -> tuple[CityConfig | None, list[Finding]]:
    try:
        config = load_config(folder)
    except Invalid as error:
        return None, [Finding("trouble", "city.toml", str(p)) for p in error.problems]
    return config, [Finding("ok", "city.toml", str(folder / "city.toml"))]


def _site(config: CityConfig, data: Path) -> Iterator[Finding]:
    try:
        site = read_site(config, data)
    except Invalid as error:
        for problem in error.problems:
            yield Finding("trouble", "registry and rules", str(problem))
        return
    channels, rules = len(site.registry.channels.id), len(site.plan.channel_rules)
    said = f"{channels} channels, {rules + len(site.plan.deadman_rules)} compiled rules"
    yield Finding("ok", "registry and rules", said)
    for each in examined.told_to_nobody(config, site.registry, site.plan):
        yield Finding(*each)
    today = today_of(Clock(), config.entry.site.timezone)
    overdue = overdue_channels(site.registry, site.plan, today=today)
    if len(overdue):
        first = site.registry.channels.id[int(overdue[0])]
        told = f"{len(overdue)} channels of fail_loud rules overdue, such as {first}: they count as"
        told += " unprotected (校准逾期，按无保护计)"
        remedy = "calibrate them, then import calibrated_on and calibration_due"
        yield Finding("trouble", "calibration", told, remedy)
    unheard = rules_unheard(config, site.plan)
    if unheard:
        more = f" and {len(unheard) - 3} more" if unheard[3:] else ""
        told = f"{', '.join(unheard[:3])}{more} ask for official warnings; none come in 未接入预警"
        remedy = "configure [warnings], docs/weather.md; until then their usual limits hold"
        yield Finding("note", "storm mode", told, remedy)
    if site.warnings:
        told = f"{len(site.warnings)} warnings"
        yield Finding("note", "registry and rules", told, f"lifeline rules check {config.folder}")


def rules_unheard(config: CityConfig, plan: Plan) -> list[str]:
    """Return the rules that ask for official warnings where none come in."""
    if config.entry.warnings is not None:
        return []
    return sorted(
        {rule.rule_id for rule in plan.channel_rules if any(s.warned for s in rule.schedules)}
    )


def _certificates(config: CityConfig) -> Iterator[Finding]:
    if config.entry.tls is None:
        return
    now = datetime.now(UTC)
    try:
        held = ends_in(config.path(config.entry.tls.folder))
    except Missing as error:
        yield Finding("trouble", "certificate", str(error))
        return
    for name, ends in held.items():
        said = f"holds until 有效期至 {ends:%Y-%m-%d}"
        remedy = f"lifeline site certificates {config.folder} --renew, then restart its server"
        state: State = "trouble" if ends < now else "note" if ends < now + SOON else "ok"
        yield Finding(state, f"certificate {name}", said, "" if state == "ok" else remedy)


def _servers(config: CityConfig, *, running: bool) -> Iterator[Finding]:
    mqtt, influx = config.entry.mqtt, config.entry.influx
    for name, trouble in (
        ("broker", broker_trouble(config, mqtt) if mqtt else None),
        ("InfluxDB", influx_trouble(config, influx) if influx else None),
    ):
        if trouble is None:
            yield Finding("note", name, "not configured")
        elif trouble:
            yield Finding("trouble", name, trouble)
        else:
            yield Finding("ok", name, "reachable, takes us")
    for each in examined.answering(config):
        yield Finding(*each)
    for name, trouble in weather_troubles(config):
        remedy = "its device falls silent 气象数据中断; docs/weather.md" if trouble else ""
        yield Finding("trouble" if trouble else "ok", name, trouble or "answers", remedy)
    if mqtt is not None and mqtt.user and open_to_all(config, mqtt):
        told = "takes anybody without an account 允许匿名连接: and anybody speaks for any device"
        remedy = "allow_anonymous false; lifeline registry broker-acl makes accounts and the list"
        yield Finding("trouble", "broker", told, remedy)
    if running:
        return  # then the ports are held by our own instance
    for line in ports_taken(config):
        yield Finding("trouble", "port", line)


def _data(data: Path) -> Iterator[Finding]:
    if not data.exists():
        yield Finding("note", "data folder", f"{data} is not there yet", "the first run makes it")
        return
    writable = os.access(data, os.W_OK)
    state: State = "ok" if writable else "trouble"
    yield Finding(state, "data folder", str(data), "" if writable else f"chown it to {os.getuid()}")
    yield _version(data)
    pid = holder_pid(data)
    yield Finding("ok", "running", "no" if pid is None else f"yes, process {pid}")
    if pid is not None and (reload := last(data)) is not None:
        told: State = "trouble" if reload.trouble else "ok"
        remedy = "lifeline reload --check tells all of it" if reload.trouble else ""
        yield Finding(told, "last reload", reload.trouble or reload.result, remedy)
    free = shutil.disk_usage(data).free
    enough = free >= LEAST_FREE_BYTES
    said = f"{free / 2**30:.1f} GiB"
    yield Finding("ok" if enough else "trouble", "free disk", said, "" if enough else "make room")
    yield from _readers(data)


def _version(data: Path) -> Finding:
    try:
        held, steps = version_of(data), steps_of(data)
    except Failure as error:
        return Finding("trouble", "data version", str(error))
    if not steps:
        return Finding("ok", "data version", str(held or "none"))
    by_itself = all(step.at_start for step in steps)
    remedy = "the next start migrates it" if by_itself else f"lifeline migrate {data}"
    return Finding("note", "data version", f"{held}, older than this program's", remedy)


def _readers(data: Path) -> Iterator[Finding]:
    ends = {room: _end(data / room) for room in ("journal", "events")}
    for room, end in ends.items():
        yield Finding("ok", f"{room} ends at", str(end))
    ledger = None
    try:
        ledger = open_ledger(data)
    except Missing:
        pass  # nothing has run here yet
    except LedgerError as error:
        yield Finding("trouble", "ledger", str(error), "docs/runbook.md: Ledger fails")
    try:
        for lag in lags(data, ledger):
            yield _lag(lag)
        if ledger is not None:
            for each in examined.waiting_rows(ledger):
                yield Finding(*each)
    except LedgerError as error:
        yield Finding("trouble", "outbox", str(error), "docs/runbook.md: Ledger fails")
    finally:
        if ledger is not None:
            ledger.close()


def _lag(lag: Lag) -> Finding:
    name = f"reader {lag.reader}"
    if lag.trouble:
        return Finding("trouble", name, lag.trouble)
    if not lag.behind:
        return Finding("ok", name, f"has done all of {lag.of}")
    what = "records" if lag.of in ("journal", "events", "series") else "wait"
    since = datetime.fromtimestamp(lag.since_ns / 1e9, UTC)
    said = f"{lag.of}: {lag.behind} {what} behind 落后, since {since:%Y-%m-%d %H:%M:%S}Z"
    far = lag.behind > FAR_BEHIND or time.time_ns() - lag.since_ns > LONG_BEHIND_S * 10**9
    remedy = "docs/runbook.md has a chapter for each: engine, store, archive, notifier"
    return Finding("note", name, said, remedy) if far else Finding("ok", name, said)


def _end(folder: Path) -> int:
    return durable_end(folder) if folder.is_dir() else 0
