"""``lifeline bench duty-shift``: a shift at speed, with scripted operators, held against itself.

A simulated city with incidents goes through the real engine into a real ledger; operators with
accounts and tokens work by the page's API: acknowledge, take back, note, assign, shelve, judge,
test devices, hand over. Then ledger, figures and report are compared with the script's own record.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import random
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import httpx
from sqlalchemy import func, select

from lifeline.backtest.versions import rules_of
from lifeline.bench.duty_record import Check, DutyRecord, rows_of, verdicts_of
from lifeline.clock import Clock
from lifeline.console.app import create_app
from lifeline.console.desk import Desk, ServeSettings
from lifeline.duty.settings import DutySettings
from lifeline.duty.shifts import Shifts
from lifeline.hot_buffer import HotBuffer
from lifeline.kpi.figures import Aims
from lifeline.ledger import Ledger
from lifeline.ledger.people import People
from lifeline.ledger.tables import EVENT
from lifeline.people.accounts import Accounts
from lifeline.people.roles import Role
from lifeline.people.tokens import Tokens
from lifeline.scenarios.draw import drawn
from lifeline.scenarios.files import scenarios_of
from lifeline.site import Site, SiteKeeper
from lifeline.watchdog import Watchdog
from rules.engine import Engine
from rules.events import EventType
from rules.language import compile_plan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from rules.events import Event

SECOND: Final = 10**9
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
WHO: Final = ("li", "wang")
NEXT: Final = "zhao"
PATIENCE_S: Final = {1: (300, 2400), 2: (120, 900), 3: (60, 360), 4: (20, 90)}
CAME: Final = ("RAISED", "ESCALATED", "LATE_FINDING", "RERUN_DIFFERS")
STORY: Final = """\
version: 1
scenarios:
- name: duty-shift
  title: A shift with incidents
  title_zh: 值班模拟
  city: {profile: demo, seed: 1, usual_faults: true}
  begins: "2026-03-10T08:00:00+08:00"
  warmup: 1h
  lasts: 8h
  incidents:
  - {id: leak, kind: gas_leak, at: [5m, 20m], place: "*-gas-mh-*", lasts: [1h, 2h],
     options: {leak_m3_h: [0.4, 1.5]}}
  - {id: crowd, kind: overload_crowding, at: [20m, 40m], place: "*-bridge-sp-*", lasts: [20m, 60m]}
  - {id: flood, kind: underpass_flood, at: [40m, 80m], place: "*-drain-up-*", lasts: [40m, 60m]}
  - {id: air, kind: oxygen_loss, at: [3h, 4h], place: "*-gallery-gs-*", lasts: [1h, 2h]}
  - {id: burst, kind: pipe_burst, at: [4h, 5h], place: "*-water-hy-*", lasts: [40m, 90m]}
  - {id: again, kind: gas_leak, at: [5h, 6h], place: "*-gas-mh-*", lasts: [1h, 2h],
     options: {leak_m3_h: [0.2, 0.8]}}
  faults:
  - {id: dead, kind: gateway_loss, at: [90m, 2h], place: "*-gas-nb-*", lasts: 3h}
"""


@dataclass(slots=True)
class Played(Clock):
    """The time of the play: it stands until the script moves it."""

    at_ns: int = 0

    def now_ns(self) -> int:
        """Return the time of the play."""
        return self.at_ns


@dataclass(slots=True)
class Play:
    """One shift on a stage of its own."""

    folder: Path
    seed: int
    hours: float = 8.0
    record: DutyRecord = field(default_factory=DutyRecord)
    events: list[Event] = field(default_factory=list)
    clock: Played = field(init=False)
    desk: Desk = field(init=False)
    begin_ns: int = field(init=False)
    end_ns: int = field(init=False)
    _dice: random.Random = field(init=False)
    _planned: list[tuple[int, int, Callable[[], None]]] = field(default_factory=list)
    _minded: set[tuple[str, int]] = field(default_factory=set)
    _numbers: Iterator[int] = field(default_factory=itertools.count)
    _loop: asyncio.Runner = field(default_factory=asyncio.Runner)
    _clients: dict[str, httpx.AsyncClient] = field(default_factory=dict)

    def run(self) -> list[Check]:
        """Play the shift and compare."""
        self._dice = random.Random(self.seed)
        self._set_up()
        with closing(self.desk.ledger), closing(self._loop):
            turns = [(at, "turn") for at in range(self.begin_ns, self.end_ns, MINUTE)]
            steps: list[tuple[int, Any]] = [(e.receive_ns, e) for e in self.events]
            for at_ns, step in sorted([*steps, *turns], key=lambda each: each[0]):
                self._until(at_ns)
                self.clock.at_ns = max(self.clock.at_ns, at_ns)
                if step == "turn":
                    self._turn()
                else:
                    self._feed(step)
            self._until(self.end_ns - 1)
            self.clock.at_ns = self.end_ns
            return self._compared()

    # ── the stage ────────────────────────────────────────────────────────────────────────────

    def _set_up(self) -> None:
        variant = drawn(scenarios_of("duty shift", STORY)[0], self.seed)
        self.begin_ns = variant.begin_ns
        self.end_ns = self.begin_ns + int(self.hours * HOUR)
        rules = rules_of(None, today="2026-03-10")
        plan = compile_plan(rules, variant.registry)[0]
        engine = Engine(plan, variant.registry)
        for batch in variant.city.records(variant.from_ns, self.end_ns, step_ns=HOUR):
            self.events += [
                e for e in engine.fold(batch) if not e.shadow and e.type is not EventType.HEARTBEAT
            ]
        self.events = [e for e in self.events if self.begin_ns <= e.receive_ns < self.end_ns]
        self.clock = Played(at_ns=self.begin_ns)
        keeper = SiteKeeper(self.folder, simulation=True)
        keeper.install(Site(variant.registry, plan))
        now = self.clock.now_ns
        shifts = Shifts.of(["00:00", "08:00", "16:00"], "Asia/Shanghai")
        self.desk = Desk(
            data=self.folder,
            settings=ServeSettings(
                duty=DutySettings(aims=Aims(operators=len(WHO)), shifts=shifts), simulation=True
            ),
            clock=self.clock,
            ledger=Ledger(f"sqlite:///{self.folder / 'ledger.sqlite'}", now_ns=now, wall_ns=now),
            keeper=keeper,
            hot=HotBuffer(),
            watchdog=Watchdog(self.clock),
        )
        app = create_app(self.desk)
        for login in (*WHO, NEXT):
            self._clients[login] = self._let_in(login, app)

    def _let_in(self, login: str, app: Any) -> httpx.AsyncClient:
        ledger = self.desk.ledger
        Accounts(ledger).add(login, role=Role.OPERATOR, actor="local:script", password=None)
        token, _ = Tokens(ledger).add(
            login, label="script", role=Role.OPERATOR, for_ns=48 * HOUR, actor="local:script"
        )
        base = f"http://127.0.0.1:{self.desk.settings.port}"
        headers = {"Lifeline-Token": token}
        way = httpx.ASGITransport(app, client=("127.0.0.1", 50_000))
        return httpx.AsyncClient(transport=way, base_url=base, headers=headers)

    # ── what happens ─────────────────────────────────────────────────────────────────────────

    def _feed(self, event: Event) -> None:
        at = event.offset + 1
        # the log's offsets are the journal's; many events stand at one, and each is fed alone
        self.desk.ledger.apply([event], at if self._last_of(event) else event.offset)
        kind = event.type.value
        self.record.came += kind in CAME and event.announce
        alarm = self._alarm_of(event)
        if alarm is not None:
            level = event.severity or event.max_severity
            level -= not event.confirmed and level > 1
            self.record.look(alarm, now_ns=event.receive_ns, event=kind, level=level)

    def _last_of(self, event: Event) -> bool:
        index = self.events.index(event)
        return index + 1 == len(self.events) or self.events[index + 1].offset != event.offset

    def _alarm_of(self, event: Event) -> dict[str, Any] | None:
        if event.type is not EventType.LATE_FINDING:
            return self._alarm(event.alarm_id)
        query = {"rule": event.rule, "subject": event.subject}
        found = self._ask("li", "GET", "/api/alarms", params=query).json()["alarms"]
        return next((alarm for alarm in found if alarm["late"]), None)

    def _alarm(self, name: str) -> dict[str, Any] | None:
        answer = self._ask("li", "GET", f"/api/alarms/{name}")
        alarm: dict[str, Any] | None = answer.json().get("alarm")
        return alarm

    def _ask(self, login: str, method: str, path: str, **how: Any) -> Any:
        return self._loop.run(self._clients[login].request(method, path, **how))

    def _order(self, login: str, path: str, **body: Any) -> dict[str, Any] | None:
        """Give an order; None where it was refused, as some are."""
        body |= {"command": f"script-{next(self._numbers)}"}
        answer = self._ask(login, "POST", path, json=body)
        if answer.status_code == 409:
            return None
        answer.raise_for_status()
        told: dict[str, Any] = answer.json()
        return told

    def _turn(self) -> None:
        """Let time do its part, and the operators look at the list."""
        before = {n for n, row in self.record.rows.items() if row.seen and not row.seen["ended"]}
        if People(self.desk.ledger).turn():
            for name in sorted(before):
                alarm = self._alarm(name)
                if alarm is not None:
                    self.record.look(alarm, now_ns=self.clock.at_ns, event="TIME")
        query = {"limit": 5_000}
        for alarm in self._ask("li", "GET", "/api/alarms", params=query).json()["alarms"]:
            if not alarm["acked"] and (alarm["id"], alarm["severity"]) not in self._minded:
                self._minded.add((alarm["id"], alarm["severity"]))
                wait_s = self._dice.uniform(*PATIENCE_S[max(alarm["severity"], 1)])
                name, by = alarm["id"], self._dice.choice(WHO)
                self._plan(wait_s, lambda name=name, by=by: self._answer(name, by))  # type: ignore[misc]
        elapsed = (self.clock.at_ns - self.begin_ns) // MINUTE
        self._chores(elapsed)

    def _plan(self, wait_s: float, act: Callable[[], None]) -> None:
        at_ns = self.clock.at_ns + round(wait_s) * SECOND
        heapq.heappush(self._planned, (at_ns, next(self._numbers), act))

    def _until(self, at_ns: int) -> None:
        while self._planned and self._planned[0][0] <= at_ns:
            due_ns, _, act = heapq.heappop(self._planned)
            self.clock.at_ns = max(self.clock.at_ns, due_ns)
            act()

    # ── what operators do ────────────────────────────────────────────────────────────────────

    def _answer(self, name: str, by: str) -> None:
        alarm = self._alarm(name)
        if alarm is None or alarm["acked"] or alarm["ended"]:
            return
        body = {"comment": "seen", "expected_seq": alarm["seq"]}
        if self._order(by, f"/api/alarms/{name}/ack", **body) is None:
            return
        self.record.acked(name, by, now_ns=self.clock.at_ns)
        self._see(name)
        if self._dice.random() < 0.15:
            self._plan(5, lambda: self._take_back(name, by))
            return
        for share, act in ((0.4, self._note), (0.3, self._assign), (0.25, self._shelve)):
            if self._dice.random() < share:
                self._plan(self._dice.uniform(10, 120), lambda act=act: act(name, by))  # type: ignore[misc]
        if self._dice.random() < 0.7:
            self._plan(self._dice.uniform(600, 3600), lambda: self._judge(name, by))

    def _see(self, name: str, event: str = "") -> None:
        alarm = self._alarm(name)
        if alarm is not None:
            self.record.look(alarm, now_ns=self.clock.at_ns, event=event)

    def _take_back(self, name: str, by: str) -> None:
        if self._order(by, f"/api/alarms/{name}/ack/revoke") is not None:
            self.record.taken_back(name, by)
            self._see(name)
            self._plan(60, lambda: self._answer(name, by))

    def _note(self, name: str, by: str) -> None:
        if self._order(by, f"/api/alarms/{name}/comment", comment="patrol <sent> & 到场"):
            self.record.done["COMMENTED", by] += 1

    def _assign(self, name: str, by: str) -> None:
        if self._order(by, f"/api/alarms/{name}/assign", to="crew 3"):
            self.record.done["ASSIGNED", by] += 1

    def _shelve(self, name: str, by: str) -> None:
        alarm = self._alarm(name)
        if alarm is None or alarm["ended"] or alarm["severity"] >= 4:
            return
        minutes = self._dice.choice((15, 30, 60))
        body = {"reason": "works", "minutes": minutes, "expected_seq": alarm["seq"]}
        if self._order(by, f"/api/alarms/{name}/shelve", **body):
            self.record.done["SHELVED", by] += 1
            self._see(name)

    def _judge(self, name: str, by: str) -> None:
        verdict = self._dice.choice(("true", "true", "false"))
        cause = "leak" if verdict == "true" else self._dice.choice(("biogas", "sensor", "rule"))
        if self._order(by, f"/api/alarms/{name}/classify", verdict=verdict, cause=cause):
            self.record.done["CLASSIFIED", by] += 1
            self.record.verdicts[name] = (self.record.rows[name].key[0], verdict)

    def _chores(self, minute: int) -> None:
        """Do what a shift does by the clock: tests, and the hand-over at its end."""
        site, last = self.desk.keeper.site, int(self.hours * 60)
        if minute == 30 and site is not None:
            for passed in (True, False):
                channel = next(c for c in site.registry.channels.id if "-gas-" in c)
                body = {"channel": channel, "passed": passed, "note": "test gas"}
                if self._order("li", "/api/proof-tests", **body):
                    self.record.tests[passed] += 1
            self.record.came += 1  # the one that failed raises an alarm
            found = self._ask("li", "GET", "/api/alarms", params={"rule": "proof-test-failed"})
            for alarm in found.json()["alarms"]:
                self.record.look(alarm, now_ns=self.clock.at_ns, event="RAISED")
        if minute == last - 5:
            self._order("li", "/api/hand-overs", to=NEXT, note="leak <1> is being repaired")
        if minute == last - 2:
            offers = self._ask(NEXT, "GET", "/api/shift").json()["hand_overs"]
            self._order(NEXT, "/api/hand-overs/take", id=offers[0]["id"], remark="taken")

    # ── what is told of it ───────────────────────────────────────────────────────────────────

    def _compared(self) -> list[Check]:
        record, query = self.record, {"from": self.begin_ns // 10**6, "to": self.end_ns // 10**6}
        figures = self._ask("li", "GET", "/api/kpis", params=query).json()
        shift = self.desk.settings.duty.shifts.at(self.begin_ns).name
        how = {"shift": shift, "lang": "en"}
        page = self._ask("li", "GET", "/api/shift-report", params=how).text
        listed = self._ask("li", "GET", "/api/alarms", params={"limit": 5_000}).json()["alarms"]
        states = {name: self._alarm(name) or {} for name in record.rows}
        shelved = sum(any(x["hold"] == "shelved" for x in a["held"]) for a in listed)
        by_type = Counter[str]()
        for (kind, _), count in record.done.items():
            by_type[kind] += count
        found = [
            Check(name="came, report", script=record.came, told=rows_of(page, "came")),
            Check(name="done, report", script=record.done.total(), told=rows_of(page, "done")),
            Check(name="open, report", script=len(listed), told=rows_of(page, "open")),
            Check(name="shelved, report", script=shelved, told=rows_of(page, "shelved")),
            Check(name="hand-overs, report", script=1, told=rows_of(page, "hand_overs")),
            Check(name="tests, report", script=record.tests.total(), told=rows_of(page, "tests")),
            Check(name="calls", script=len(record.calls), told=figures["calls"]["total"]),
            Check(name="calls by time", script=self._bins(), told=figures["calls"]["bins"]),
            Check(name="times", script=record.answers(), told=figures["acknowledged"]),
            Check(name="verdicts", script=self._verdicts(), told=verdicts_of(figures)),
            Check(
                name="standing",
                script=sum(bool(a and a["active"] and not a["ended"]) for a in states.values()),
                told=figures["standing"],
            ),
        ]
        wrong = self.desk.ledger.counts()["mismatch"]
        found.append(Check(name="differing events", script=0, told=wrong))
        written = self._written()
        return found + [
            Check(name=f"{kind}, ledger", script=count, told=written[kind])
            for kind, count in sorted(by_type.items())
        ]

    def _bins(self) -> list[int]:
        counts = Counter((at - self.begin_ns) // (10 * MINUTE) for at in self.record.calls)
        return [counts[n] for n in range(-(-(self.end_ns - self.begin_ns) // (10 * MINUTE)))]

    def _verdicts(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for name, (rule, verdict) in self.record.verdicts.items():
            if self.record.newest[self.record.rows[name].key] == name or self._own_row(name):
                found.setdefault(rule, [0, 0])[verdict == "false"] += 1
        return found

    def _own_row(self, name: str) -> bool:
        """Tell whether a row did not go on as another one."""
        rows = list(self.record.rows)
        key = self.record.rows[name].key
        later = [n for n in rows[rows.index(name) + 1 :] if self.record.rows[n].key == key]
        return not later or not self.record.rows[later[0]].seen["reactivations"]

    def _written(self) -> Counter[str]:
        """Count people's events in the ledger's table itself."""
        named = EVENT.c.body.like('%"by":"_%')
        query = select(EVENT.c.type, func.count()).where(named).group_by(EVENT.c.type)
        with self.desk.ledger.read() as connection:
            return Counter({row[0]: int(row[1]) for row in connection.execute(query)})
