"""The ledger in a real PostgreSQL: the same alarms, one writer at a time, its address a secret."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import select

from lifeline.ledger import Conflict, Ledger, Outlet, Unavailable
from lifeline.ledger.open import open_ledger
from lifeline.ledger.people import People
from lifeline.ledger.tables import EVENT, METADATA, open_database
from lifeline.settings.config import load_config
from lifeline.settings.ledger_address import server_url
from rules.alarms import Word
from rules.events import Event, EventType
from rules.problems import Invalid
from tests.postgresql import postgresql

pytestmark = pytest.mark.real
MINUTE_NS = 60 * 10**9


def told(kind: str, offset: int, severity: int = 2, subject: str = "a/b/c") -> Event:
    return Event(
        type=EventType(kind),
        offset=offset,
        row=0,
        rule="ch4-level",
        subject=subject,
        severity=severity,
        max_severity=severity,
        episode="1.0",
        event_ns=10**18 + offset,
        receive_ns=10**18 + offset,
        evidence={"text": "nul \x00 and 井"},
    )


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    with postgresql(tmp_path_factory.mktemp("postgresql")) as url:
        yield server_url(url)


@pytest.fixture
def ledger(address):
    engine = open_database(address, wait_s=5)
    with engine.begin() as connection:
        METADATA.drop_all(connection)
    engine.dispose()
    held = Ledger(address, outlets=(Outlet(name="webhook"),), wait_s=1)
    yield held
    held.close()


def test_it_gives_what_sqlite_gives(ledger, tmp_path) -> None:
    events = [told("RAISED", 1), told("ESCALATED", 2, 4), told("RAISED", 3, 1, "a/b/d")]
    events += [told("CLEARED", 4, 0), told("CLEARED", 5, 0, "a/b/d")]
    lite = Ledger(f"sqlite:///{tmp_path / 'ledger.sqlite'}", outlets=(Outlet(name="webhook"),))
    for each in (ledger, lite):
        each.apply(events[:2], 3)
        each.apply(events, 6)  # a re-run from the start: what is there is compared
    assert ledger.list(ended=None) == lite.list(ended=None)
    assert ledger.counts() == lite.counts()
    with ledger.read() as one, lite.read() as two:
        rows = [c.execute(select(EVENT.c.seq, EVENT.c.body).order_by(EVENT.c.seq)).all()
                for c in (one, two)]  # fmt: skip
    assert rows[0] == rows[1]
    lite.close()


def test_a_second_writer_waits_and_gives_up_in_its_time(ledger) -> None:
    other = Ledger(ledger.url, wait_s=0.3)
    with ledger.write(), pytest.raises(Unavailable, match="lock"):
        other.apply([told("RAISED", 1)], 2)
    assert other.apply([told("RAISED", 1)], 2).new == 1
    other.close()


def test_many_writers_number_every_event_once(ledger) -> None:
    def write(name: str) -> None:
        mine = Ledger(ledger.url, wait_s=20)
        for n in range(10):
            mine.apply([told("RAISED", n + 1, subject=f"a/{name}/{n}")], n + 2, reader=name)
        mine.close()

    threads = [threading.Thread(target=write, args=(f"r{i}",)) for i in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with ledger.read() as connection:
        numbers = [seq for (seq,) in connection.execute(select(EVENT.c.seq).order_by(EVENT.c.seq))]
    assert len(numbers) >= 30
    assert numbers == list(range(1, len(numbers) + 1))


def test_people_order_as_ever(ledger) -> None:
    ledger.apply([told("RAISED", 1)], 2)
    people, alarm = People(ledger), ledger.open_alarms()[0]
    order = {"by": "li", "reason": "works", "for_ns": MINUTE_NS, "expected_seq": alarm.seq}
    assert people.shelve(alarm.alarm_id, command="c1", **order).word is Word.SHLVD
    assert people.shelve(alarm.alarm_id, command="c1", **order).word is Word.SHLVD
    with pytest.raises(Conflict, match="already shelved by li"):
        people.shelve(alarm.alarm_id, command="c2", **order)
    again = Ledger(ledger.url)
    assert again.open_alarms()[0].shelf.by == "li"
    again.close()


def test_a_server_that_is_not_there_is_named_without_its_password() -> None:
    with pytest.raises(Unavailable) as refused:
        Ledger("postgresql+psycopg://city:hunter2@127.0.0.1:9/none", wait_s=0.5)
    assert "hunter2" not in str(refused.value)
    assert "127.0.0.1" in str(refused.value)


def site(folder, secret: str):
    for name in ("registry", "rules"):
        (folder / name).mkdir()
        (folder / name / "a.yaml").write_text("version: 1\n")
    (folder / "ledger").write_text(secret)
    text = '[site]\nname = "x"\n[coap]\n[ledger]\nurl_file = "ledger"\n'
    (folder / "city.toml").write_text(text)
    return folder


def test_city_toml_names_a_file_with_the_address(tmp_path) -> None:
    config = load_config(site(tmp_path, "postgresql://city:secret@db/lifeline\n"))
    assert config.ledger_url == "postgresql+psycopg://city:secret@db/lifeline"


def test_an_address_of_another_kind_is_refused_and_not_quoted(tmp_path) -> None:
    with pytest.raises(Invalid) as refused:
        load_config(site(tmp_path, "mysql://city:hunter2@db/lifeline"))
    assert "postgresql://user:password@host/database" in str(refused.value)
    assert "hunter2" not in str(refused.value)


def test_whoever_reads_beside_the_city_finds_it(tmp_path, ledger) -> None:
    ledger.apply([told("RAISED", 1)], 2)
    folder = site(tmp_path, ledger.url.replace("+psycopg", ""))
    for place in (folder, folder / "data"):
        found = open_ledger(place)
        assert [a.subject for a in found.open_alarms()] == ["a/b/c"]
        found.close()
