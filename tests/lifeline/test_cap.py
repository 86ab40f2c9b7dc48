"""CAP 1.2: the schema's order and required elements, its code values, and what ours become."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from defusedxml.ElementTree import fromstring
from typer.testing import CliRunner

from lifeline.cli.app import app
from lifeline.ledger import Ledger
from lifeline.notify.cap import CapSender, cap_xml, certainty, stamp, urgency
from lifeline.site import Site
from rules.language import compile_plan, load_rules
from rules.registry_file import registry_of
from tests.lifeline.outlets import happened
from tests.lifeline.small_city import GAS, RULES, SmallCity, registry_yaml, serving, until

NS = "{urn:oasis:names:tc:emergency:cap:1.2}"
# (element, required, may repeat) in the order of CAP-v1.2.xsd.
ALERT = [
    ("identifier", 1, 0), ("sender", 1, 0), ("sent", 1, 0), ("status", 1, 0), ("msgType", 1, 0),
    ("source", 0, 0), ("scope", 1, 0), ("restriction", 0, 0), ("addresses", 0, 0), ("code", 0, 1),
    ("note", 0, 0), ("references", 0, 0), ("incidents", 0, 0), ("info", 0, 1),
]  # fmt: skip
INFO = [
    ("language", 0, 0), ("category", 1, 1), ("event", 1, 0), ("responseType", 0, 1),
    ("urgency", 1, 0), ("severity", 1, 0), ("certainty", 1, 0), ("audience", 0, 0),
    ("eventCode", 0, 1), ("effective", 0, 0), ("onset", 0, 0), ("expires", 0, 0),
    ("senderName", 0, 0), ("headline", 0, 0), ("description", 0, 0), ("instruction", 0, 0),
    ("web", 0, 0), ("contact", 0, 0), ("parameter", 0, 1), ("resource", 0, 1), ("area", 0, 1),
]  # fmt: skip
AREA = [
    ("areaDesc", 1, 0), ("polygon", 0, 1), ("circle", 0, 1), ("geocode", 0, 1),
    ("altitude", 0, 0), ("ceiling", 0, 0),
]  # fmt: skip
PAIR = [("valueName", 1, 0), ("value", 1, 0)]
CODES = {
    "status": "Actual Exercise System Test Draft",
    "msgType": "Alert Update Cancel Ack Error",
    "scope": "Public Restricted Private",
    "category": "Geo Met Safety Security Rescue Fire Health Env Transport Infra CBRNE Other",
    "responseType": "Shelter Evacuate Prepare Execute Avoid Monitor Assess AllClear None",
    "urgency": "Immediate Expected Future Past Unknown",
    "severity": "Extreme Severe Moderate Minor Unknown",
    "certainty": "Observed Likely Possible Unlikely Unknown",
}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[-+]\d\d:\d\d")
CIRCLE = re.compile(r"-?\d+\.\d+,-?\d+\.\d+ \d+(\.\d+)?")


def valid(parent, order) -> None:
    """Check order, what is required, what may not repeat, codes and forms; and all below."""
    names = [child.tag.removeprefix(NS) for child in parent]
    places = [[n for n, _, _ in order].index(name) for name in names]
    assert places == sorted(places), f"out of order: {names}"
    for name, required, repeats in order:
        assert names.count(name) >= required, f"{name} is missing"
        assert repeats or names.count(name) <= 1, f"{name} repeats"
    for child in parent:
        name = child.tag.removeprefix(NS)
        if name in CODES:
            assert child.text in CODES[name].split(), f"{name} {child.text}"
        if name in ("sent", "effective", "onset", "expires"):
            assert TIME.fullmatch(child.text), child.text
        if name == "circle":
            assert CIRCLE.fullmatch(child.text), child.text
        below = {"info": INFO, "area": AREA, "parameter": PAIR, "geocode": PAIR}.get(name)
        if below:
            valid(child, below)


def read(raw: bytes):
    root = fromstring(raw)
    assert root.tag == f"{NS}alert"
    valid(root, ALERT)
    for name in ("identifier", "sender"):
        assert not re.search(r"[\s,<&]", root.findtext(NS + name))
    if root.findtext(f"{NS}scope") == "Restricted":
        assert root.findtext(f"{NS}restriction")
    return root


def text(root, *path: str) -> str | None:
    return root.findtext("/".join(NS + name for name in path))


@pytest.fixture(scope="module")
def site():
    registry = registry_of({"r.yaml": registry_yaml(simulation=False)})
    return Site(registry, compile_plan(load_rules({"g.yaml": RULES}), registry)[0])


@pytest.fixture
def ledger(tmp_path):
    held = Ledger(f"sqlite:///{tmp_path / 'ledger.sqlite'}")
    yield held
    held.close()


def told(ledger, site, *, simulation: bool = False, **sender):
    (alarm, _), *_ = ledger.list(ended=None)
    return read(
        cap_xml(
            alarm, ledger.events_of(alarm.alarm_id), site, zone="Asia/Shanghai",
            simulation=simulation, sender=CapSender(**sender), web="https://console.example/",
        )
    )  # fmt: skip


def gas(kind: str, offset: int, severity: int, **more):
    return happened(kind, offset, severity, rule="ch4-space", subject=GAS, value=1.3, limit=1.25,
                    **more)  # fmt: skip


def test_an_alarm_becomes_an_alert_then_updates_then_a_cancel_that_name_each_other(ledger, site):
    ledger.apply([gas("RAISED", 1, 3)], 2)
    first = told(ledger, site, sender="lifeline.zz.example", name_zh="郑州市城市生命线")
    assert (text(first, "msgType"), text(first, "status")) == ("Alert", "Actual")
    assert text(first, "references") is None
    ledger.apply([gas("ESCALATED", 2, 4, previous=3)], 3)
    second = told(ledger, site, sender="lifeline.zz.example")
    assert text(second, "msgType") == "Update"
    named = [text(first, name) for name in ("sender", "identifier", "sent")]
    assert text(second, "references") == ",".join(named)
    ledger.apply([gas("CLEARED", 3, 0)], 4)
    last = told(ledger, site, sender="lifeline.zz.example")
    assert text(last, "msgType") == "Cancel"
    assert len(text(last, "references").split()) == 2
    assert text(last, "info", "urgency") == "Past"
    assert text(last, "info", "responseType") == "AllClear"


def test_it_says_what_and_where_in_both_languages_and_that_it_is_no_public_warning(ledger, site):
    ledger.apply([gas("RAISED", 1, 3)], 2)
    root = told(ledger, site, name="Zhengzhou lifelines", name_zh="郑州市城市生命线")
    zh, en = root.findall(f"{NS}info")
    assert (text(zh, "language"), text(en, "language")) == ("zh-CN", "en-US")
    assert text(zh, "event") == "燃气橙色监测报警"
    assert text(en, "event") == "gas: orange monitoring alarm"
    assert "甲烷" in text(zh, "headline")
    assert "methane" in text(en, "headline")
    assert text(zh, "senderName") == "郑州市城市生命线"
    assert [c.text for c in zh.findall(f"{NS}category")] == ["Safety", "Infra"]
    assert text(zh, "area", "circle") == "34.750000,113.620000 0"
    assert text(zh, "area", "geocode", "value") == "410100-gas-mh-000123"
    assert text(zh, "web") == "https://console.example/"
    assert "非公众预警" in text(root, "restriction")


def test_what_is_simulated_is_an_exercise(ledger, site):
    ledger.apply([gas("RAISED", 1, 3)], 2, simulation=True)
    root = told(ledger, site, simulation=True)
    assert text(root, "status") == "Exercise"
    assert "仿真" in text(root, "note")


@pytest.mark.parametrize(
    ("severity", "cap", "how_soon"),
    [(1, "Minor", "Expected"), (2, "Moderate", "Expected"), (3, "Severe", "Immediate"),
     (4, "Extreme", "Immediate")],
)  # fmt: skip
def test_levels_become_severities_and_urgencies(ledger, site, severity, cap, how_soon):
    ledger.apply([gas("RAISED", 1, severity)], 2)
    root = told(ledger, site)
    assert text(root, "info", "severity") == cap
    assert text(root, "info", "urgency") == how_soon
    assert text(root, "info", "certainty") == "Observed"


def test_what_is_less_sure_says_so(ledger, site):
    ledger.apply([gas("RAISED", 1, 4, confirmed=False)], 2)
    ((alarm, _),) = ledger.list()
    assert certainty(alarm, site) == "Likely"
    assert text(told(ledger, site), "info", "severity") == "Severe", "shown one level lower"
    assert certainty(replace(alarm, rule="silent"), site) == "Unknown"
    assert certainty(replace(alarm, verdict="false"), site) == "Unlikely"
    assert urgency(replace(alarm, late=True), site, over=False) == "Past"


def test_no_text_breaks_the_message_and_an_alarm_without_a_site_is_one_too(ledger):
    bad = 'a<b>&"\x00\x1b]]> é'
    ledger.apply([happened("RAISED", 1, 3, rule=bad, subject=bad)], 2)
    root = told(ledger, None, sender="with spaces, and <commas>&")
    assert text(root, "sender") == "with-spaces-and-commas>-"
    assert text(root, "info", "category") == "Other"
    assert text(root, "info", "area", "areaDesc")


def test_a_time_has_an_offset_and_never_a_z():
    assert stamp(1_700_000_000_123_456_789, "Asia/Shanghai") == "2023-11-15T06:13:20+08:00"
    assert stamp(1_700_000_000_000_000_000, "UTC") == "2023-11-14T22:13:20+00:00"


def test_the_page_and_the_command_line_give_the_message(tmp_path):
    city = SmallCity(tmp_path / "data")
    with serving(city.data, cap=CapSender(sender="lifeline.zz.example")) as http:
        city.send(GAS, 1.3)
        (alarm,) = until(lambda: http.get("/api/alarms").json()["alarms"])
        answer = http.get(f"/api/alarms/{alarm['id']}/cap")
        assert answer.headers["content-type"] == "application/cap+xml"
        root = read(answer.content)
        assert text(root, "sender") == "lifeline.zz.example"
        assert text(root, "identifier").startswith(alarm["id"])
        assert http.get("/api/alarms/000000000000/cap").status_code == 404
    city.close()
    ran = CliRunner().invoke(app, ["alarms", "cap", alarm["id"], str(city.data)])
    assert ran.exit_code == 0, ran.output
    same = read(ran.stdout_bytes)
    assert text(same, "identifier") == text(root, "identifier")
    assert text(same, "sender") == "city-lifeline"
    ran = CliRunner().invoke(app, ["alarms", "cap", "000000000000", str(city.data)])
    assert ran.exit_code != 0
