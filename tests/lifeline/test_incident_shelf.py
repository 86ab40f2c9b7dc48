"""Open incidents are kept from append to append, and never where somebody else wrote meanwhile."""

from __future__ import annotations

import random

import pytest
from sqlalchemy import select

from lifeline.ledger import LedgerError, incident_book
from lifeline.ledger.incident_book import IncidentBook
from lifeline.ledger.incidents import Asked
from lifeline.ledger.tables import INCIDENT, INCIDENT_EVENT, INCIDENT_MEMBER
from rules.incidents.flow import Kind
from tests.lifeline.test_incident_ledger import MINUTE_NS, Site

TABLES = (INCIDENT, INCIDENT_MEMBER, INCIDENT_EVENT)


@pytest.fixture
def loads(monkeypatch):
    """How many times the open incidents were read from the database."""
    count = [0]
    of = incident_book.groups_of

    def counted(*args):
        count[0] += 1
        return of(*args)

    monkeypatch.setattr(incident_book, "groups_of", counted)
    return count


def rows(site) -> list[list[tuple]]:
    with site.ledger.read() as connection:
        return [
            [tuple(row) for row in connection.execute(select(t).order_by(*t.primary_key))]
            for t in TABLES
        ]


def play(site, seed: int, *, fresh: bool) -> None:
    """A random story of alarms, clearings and orders; ``fresh``: the ledger opened at each step."""
    draw = random.Random(seed)
    episodes: dict[int, int] = {}
    for _ in range(60):
        if fresh:
            site.ledger.close()
            site.open()
        n = draw.choice([10, 11, 12, 40, 41, 80])
        site.clock.ns += draw.randint(1, 50) * MINUTE_NS
        kind = draw.choice(["RAISED", "ESCALATED", "CLEARED", "order", "order"])
        held = site.incidents.list()
        if kind != "order":
            episodes[n] = episodes.get(n, 0) + (kind == "RAISED")
            severity = {"RAISED": draw.choice([1, 2]), "ESCALATED": 3, "CLEARED": 0}[kind]
            site.tell(kind, severity, n, episode=f"{episodes[n]}.0")
        elif held:
            on = draw.choice(held)
            order = draw.choice([Kind.ACKNOWLEDGE, Kind.VERIFY, Kind.FALSE_ALARM, Kind.COMMENT])
            site.orders += 1
            asked = incident_order(on, order, site.orders)
            try:
                site.incidents.order(asked)
            except LedgerError:
                continue  # it does not stand so: it does not in the other ledger either


def incident_order(on, kind: Kind, number: int):
    return Asked(
        incident_id=on.incident_id,
        kind=kind,
        by="li",
        command=f"c{number}",
        expected_seq=on.handling.seq,
        reason="said",
        cause="sensor",
    )


@pytest.mark.parametrize("seed", range(6))
def test_what_is_kept_gives_the_same_incidents_as_what_is_read_again(tmp_path, seed):
    kept = Site(f"sqlite:///{tmp_path / 'kept.sqlite'}")
    read = Site(f"sqlite:///{tmp_path / 'read.sqlite'}")
    play(kept, seed, fresh=False)
    play(read, seed, fresh=True)
    assert rows(kept) == rows(read)
    assert rows(kept)[0], "there were incidents"
    for site in (kept, read):
        site.ledger.close()


def test_they_are_read_once_however_many_appends_follow(tmp_path, loads):
    site = Site(f"sqlite:///{tmp_path / 'l.sqlite'}")
    for n in range(10, 40):
        site.tell("RAISED", 2, n)
    assert loads[0] == 1
    site.ledger.close()


def test_an_order_of_another_process_is_seen(tmp_path, loads):
    url = f"sqlite:///{tmp_path / 'l.sqlite'}"
    site, other = Site(url), Site(url)
    site.tell("RAISED", 3, 10)
    held = other.only()
    other.order(Kind.ACKNOWLEDGE)
    other.order(Kind.FALSE_ALARM, cause="sensor", reason="it was painted over")
    site.clock.ns += MINUTE_NS
    site.tell("RAISED", 3, 10, episode="2.0")
    opened = [each.incident_id for each in site.incidents.list()]
    assert held.incident_id not in opened
    assert len(opened) == 1
    assert loads[0] >= 2
    for each in (site, other):
        each.ledger.close()


def test_what_was_rolled_back_is_not_kept(tmp_path, monkeypatch):
    site = Site(f"sqlite:///{tmp_path / 'l.sqlite'}")
    site.tell("RAISED", 2, 10)
    keep = IncidentBook.keep

    def broken(book):
        keep(book)
        raise RuntimeError("the disk is gone")

    monkeypatch.setattr(IncidentBook, "keep", broken)
    with pytest.raises(RuntimeError):
        site.tell("RAISED", 2, 80)
    monkeypatch.setattr(IncidentBook, "keep", keep)
    site.tell("RAISED", 2, 40)
    told = {m.place.subject for each in site.incidents.list() for m in each.group.members}
    assert len(told) == 2
    assert not any("000080" in subject for subject in told)
    site.ledger.close()
