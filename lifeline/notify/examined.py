"""What `lifeline doctor` says of the outlets: who answers, whom nobody tells, what waits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from lifeline.ledger.outbox import waiting
from lifeline.notify.outlets import cap_outlet_of, outlets_of, webhook_of
from lifeline.notify.routing import Subject, routes_of
from lifeline.settings.outlet_checks import SYSTEM, outlet_names

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lifeline.ledger import Ledger
    from lifeline.settings.config import CityConfig
    from rules.plan import Plan
    from rules.registry import Registry

MOST_NAMED = 5
KNOWS_THE_WAYS = ("webhook", "mqtt:")
"""Outlets that hear every step of an escalation: their receivers may know a way we do not."""


class Examined(NamedTuple):
    """One line of doctor's table."""

    state: Literal["ok", "note", "trouble"]
    what: str
    found: str
    remedy: str = ""


def answering(config: CityConfig) -> Iterator[Examined]:
    """Ask every outlet whether it is there and takes us; nobody is told anything."""
    webhook = webhook_of(config)
    for each in (*([webhook] if webhook is not None else []), *outlets_of(config)):
        name = f"outlet {each.outlet.name}"
        if trouble := each.probe():
            remedy = "alarms wait for it 报警在此排队; docs/notification.md"
            yield Examined("trouble", name, trouble, remedy)
        else:
            yield Examined("ok", name, "answers")
    cap = cap_outlet_of(config)
    if cap is not None:
        trouble = cap.probe()
        remedy = "incidents wait for it 事件在此排队; docs/notification.md" if trouble else ""
        yield Examined("trouble" if trouble else "ok", "outlet cap", trouble or "answers", remedy)


def told_to_nobody(config: CityConfig, registry: Registry, plan: Plan) -> Iterator[Examined]:
    """Say which alarms no outlet hears, and which calls no outlet is named by."""
    names = outlet_names(config)
    if not names:
        return
    if holes := _holes(config, registry, plan):
        said = f"nobody is told of 无人接收: {'; '.join(holes[:MOST_NAMED])}"
        more = len(holes) - MOST_NAMED
        said += f" and {more} more" if more > 0 else ""
        remedy = "add a [[route]]; orange, red and our own go to all outlets until then"
        yield Examined("note", "routes", said, remedy)
    departments = {f"department:{name}" for name in config.entry.department}
    wanted = {to for steps in plan.escalations.values() for step in steps for to in step.to}
    lost = sorted(wanted - {*names, *departments, "console"})
    if lost:
        by = [name for name in names if name.startswith(KNOWS_THE_WAYS)]
        said = f"no outlet here is called {', '.join(lost[:MOST_NAMED])}"
        heard = f"{', '.join(by)} is told" if by else "so nobody is called 无人被呼叫"
        state: Literal["note", "trouble"] = "note" if by else "trouble"
        yield Examined(state, "escalations", f"{said}; {heard}", "" if by else "name an outlet so")


def _holes(config: CityConfig, registry: Registry, plan: Plan) -> list[str]:
    """Return domain, district and level of alarms that neither a route nor an outlet takes."""
    routes = routes_of(config.entry)
    routed = {name for route in routes for name in route.outlets}
    least = {each.outlet.name: each.outlet.min_severity for each in outlets_of(config)}
    if config.entry.webhook is not None:
        least["webhook"] = config.entry.webhook.min_severity
    assets = registry.assets
    places = sorted({(d, r) for d, r in zip(assets.domain, assets.district, strict=True) if d})
    holes = []
    for domain, district in [*places, (SYSTEM, "")]:
        for level in plan.levels:
            if level.severity < min(least.values()):
                continue  # nobody wants to hear of it
            at = Subject(domain=domain, level=level.name, district=district, klass="safety")
            ways = {n for route in routes if route.fits(at) for n in route.outlets}
            ways |= set(least) - routed
            if not any(level.severity >= least[name] for name in ways):
                holes.append(" ".join(word for word in (domain, district, level.name) if word))
    return holes


def waiting_rows(ledger: Ledger) -> Iterator[Examined]:
    """Say what waits at each outlet and what was given up, with the reason of the newest."""
    for each in waiting(ledger):
        parts = []
        if each.pending:
            parts.append(f"{each.pending} wait 等待发送")
        if each.given_up:
            parts.append(f"{each.given_up} given up 已放弃")
        said = f"{', '.join(parts)}{f': {each.reason}' if each.reason else ''}"
        yield Examined("note", f"outbox {each.channel}", said, "docs/runbook.md: Notifier fails")
