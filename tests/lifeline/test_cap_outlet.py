"""Incidents to the platform above: each change once under its identifier, signed, until taken."""

from __future__ import annotations

import time

import pytest
from defusedxml.ElementTree import fromstring

from lifeline.ledger import Ledger
from lifeline.ledger.cursors import cursor_of
from lifeline.ledger.incidents import Asked, Incidents
from lifeline.notify import verify
from lifeline.notify.cap import CapSender
from lifeline.notify.cap_outlet import READER, CapOutlet, CapOutletSettings
from lifeline.notify.outlets import cap_outlet_of
from lifeline.settings.config import config_of
from rules.incidents.flow import Kind
from rules.problems import Invalid
from tests.lifeline.small_city import GAS, OTHER_GAS, SmallCity, serving, until
from tests.lifeline.test_cap import ALERT, NS, valid
from tests.lifeline.test_webhook import SECRET, raised, receiver  # noqa: F401 - a fixture


class Above:
    """A ledger, and what tells the platform of its incidents."""

    def __init__(self, url: str, to: str, **more) -> None:
        self.ledger = Ledger(url)
        self.settings = CapOutletSettings(url=to, secret=SECRET, **more)
        self.incidents = Incidents(self.ledger)
        self.begin()

    def begin(self) -> None:
        sender = CapSender(sender="lifeline.example")
        self.outlet = CapOutlet(
            self.ledger, self.settings, site=lambda: None, zone="UTC", sender=sender
        )

    def restart(self) -> None:
        self.outlet.close()
        self.begin()

    def tell(self, offset: int, severity: int = 3, *, simulation: bool = False) -> None:
        self.ledger.apply([raised(offset, severity)], offset + 1, simulation=simulation)

    def order(self, kind: Kind, **said) -> str:
        (held,) = self.incidents.list()
        self.incidents.order(
            Asked(
                incident_id=held.incident_id, kind=kind, by="li", command=f"{kind}{said}",
                expected_seq=held.handling.seq, **said,
            )
        )  # fmt: skip
        return held.incident_id

    def close(self) -> None:
        self.outlet.close()
        self.ledger.close()


@pytest.fixture
def above(tmp_path, receiver):  # noqa: F811
    held = Above(f"sqlite:///{tmp_path / 'l.sqlite'}", receiver.url)
    assert held.outlet.turn() == 0
    yield held
    held.close()


def messages(receiver) -> list:  # noqa: F811
    found = []
    for headers, body in receiver.requests:
        assert headers["Content-Type"].startswith("application/cap+xml")
        assert verify(SECRET, headers, body, now_s=time.time())
        root = fromstring(body)
        valid(root, ALERT)
        assert headers["Lifeline-Id"] == root.findtext(f"{NS}identifier")
        found.append(root)
    return found


def test_each_change_is_told_from_the_alarm_to_the_end(above, receiver):  # noqa: F811
    above.tell(1)
    assert above.outlet.turn() == 1
    name = above.order(Kind.ACKNOWLEDGE)
    above.order(Kind.COMMENT, reason="no news for others")
    assert above.outlet.turn() == 1
    above.order(Kind.FALSE_ALARM, cause="sensor", reason="it lies")
    assert above.outlet.turn() == 1
    assert above.outlet.turn() == 0
    told = messages(receiver)
    assert [m.findtext(f"{NS}msgType") for m in told] == ["Alert", "Update", "Cancel"]
    assert {m.findtext(f"{NS}incidents") for m in told} == {name}
    assert len({m.findtext(f"{NS}identifier") for m in told}) == 3
    first = told[0].findtext(f"{NS}identifier")
    assert all(first in m.findtext(f"{NS}references") for m in told[1:])


def test_what_is_not_taken_is_sent_again_by_the_same_identifier(above, receiver):  # noqa: F811
    receiver.answers += [503]
    above.tell(1)
    assert above.outlet.turn() == 0
    assert "HTTP 503" in above.outlet.trouble
    assert above.outlet.turn() == 0, "it waits before it tries again"
    above.restart()
    assert above.outlet.turn() == 1
    one, two = messages(receiver)
    assert one.findtext(f"{NS}identifier") == two.findtext(f"{NS}identifier")
    assert above.outlet.trouble == ""


def test_a_message_the_platform_refuses_holds_up_no_other(above, receiver):  # noqa: F811
    receiver.answers += [422]
    above.tell(1)
    above.tell(2)
    assert above.outlet.turn() == 1
    assert above.outlet.turn() == 0
    assert len(receiver.requests) == 2


def test_of_changes_that_wait_the_newest_is_told(above, receiver):  # noqa: F811
    above.tell(1)
    above.order(Kind.ACKNOWLEDGE)
    above.order(Kind.VERIFY)
    assert above.outlet.turn() == 1
    (only,) = messages(receiver)
    assert len(only.findtext(f"{NS}references").split()) == 2


def test_a_simulation_and_what_is_below_the_level_stay_here(above, receiver):  # noqa: F811
    above.tell(1, simulation=True)
    above.tell(2, severity=2)
    assert above.outlet.turn() == 0
    assert receiver.requests == []


def test_it_begins_with_what_changes_from_then_on(tmp_path, receiver):  # noqa: F811
    url = f"sqlite:///{tmp_path / 'l.sqlite'}"
    held = Above(url, receiver.url)
    held.tell(1)
    assert held.outlet.turn() == 0
    held.order(Kind.ACKNOWLEDGE)
    assert held.outlet.turn() == 1
    held.close()


def begun(data) -> bool:
    ledger = Ledger(f"sqlite:///{data / 'ledger.sqlite'}")
    with ledger.read() as connection:
        held = cursor_of(connection, READER)
    ledger.close()
    return bool(held.extra)


def test_a_running_city_tells_the_platform(tmp_path, receiver):  # noqa: F811
    city = SmallCity(tmp_path / "data", joined=True)
    settings = CapOutletSettings(url=receiver.url, secret=SECRET)
    with serving(city.data, cap_outlet=settings):
        until(lambda: begun(city.data), seconds=20)
        city.send(GAS, 1.6)
        city.send(GAS, 1.6)
        until(lambda: receiver.requests, seconds=20)
        city.send(OTHER_GAS, 1.6)
        until(lambda: b"000124" in receiver.requests[-1][1], seconds=20)
    assert {m.findtext(f"{NS}status") for m in messages(receiver)} == {"Actual"}
    city.close()


@pytest.fixture
def folder(tmp_path):
    for name in ("registry", "rules"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "some.yaml").write_text("version: 1\n")
    (tmp_path / "key").write_text("a key of sixteen characters")
    (tmp_path / "key").chmod(0o600)
    return tmp_path


def city_toml(more: str) -> str:
    return f'[site]\nname = "x"\n[mqtt]\nhost = "localhost"\n[cap]\nsender = "s"\n{more}\n'


def test_the_platform_is_named_in_city_toml(folder):
    more = 'url = "https://platform.example/cap"\nsecret_file = "key"\nmin_severity = 4'
    told = cap_outlet_of(config_of(folder, city_toml(more)))
    assert (told.url, told.min_severity) == ("https://platform.example/cap", 4)
    assert told.secret == b"a key of sixteen characters"
    assert "sixteen" not in repr(told)
    assert cap_outlet_of(config_of(folder, city_toml(""))) is None


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ('url = "https://p.example/cap"', "messages are signed; add secret_file"),
        ('url = "http://p.example/cap"\nsecret_file = "key"', "only https:// is spoken"),
        ('url = "https://me:pw@p.example/cap"\nsecret_file = "key"', "a user or password"),
        ('url = "https://p.example/cap"\nsecret_file = "none"', "secret_file"),
    ],
)
def test_a_platform_told_unsigned_or_in_the_clear_is_refused(folder, more, said):
    with pytest.raises(Invalid) as refused:
        config_of(folder, city_toml(more))
    assert any(said in str(each) and each.line > 0 for each in refused.value.problems)
