"""Who is told of which alarm: routes, departments, calls; and what is wrong with them is said."""

from __future__ import annotations

import json

import pytest

from lifeline.ledger import Ledger
from lifeline.notify import Escalator, examined
from lifeline.notify.outlets import outlets_of
from lifeline.notify.routing import routing_of
from lifeline.settings.config import config_of
from lifeline.settings.outlet_checks import check_routes, outlet_names
from lifeline.settings.toml_text import read_toml
from lifeline.site import Site
from rules.language import compile_plan, load_rules
from rules.problems import Invalid
from rules.registry_file import registry_of
from tests.lifeline.outlets import S, happened
from tests.lifeline.small_city import GAS, LEVEL, RULES, registry_yaml

CITY = """
[site]
name = "Test"
[mqtt]
host = "127.0.0.1"
"""
ROBOTS = """
[outlet.dingtalk.gas]
url_file = "robot"
secret_file = "key"
[outlet.wecom.drain]
url_file = "robot"
[outlet.email.fire]
host = "127.0.0.1"
sender = "City <a@city.example>"
to = ["fire@city.example"]
min_severity = 2
[outlet.feishu.night]
url_file = "robot"
[department.fire]
name_zh = "消防救援"
outlets = ["email:fire"]
"""
ROUTES = """
[[route]]
domain = ["gas"]
to = ["dingtalk:gas"]
[[route]]
domain = ["gas", "drain"]
level = ["red"]
to = ["department:fire", "dingtalk:gas"]
[[route]]
domain = ["drain"]
district = ["Zhongyuan"]
class = ["safety", "maintenance", "info"]
to = ["wecom:drain"]
"""
CHAINS = """
escalations:
  gas:
  - {after: 1m, unless: acked, to: ["dingtalk:gas", "department:fire", "sms:nobody"]}
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "robot").write_text("https://robots.example/send?key=abcdefghijklmnopqrst\n")
    (tmp_path / "key").write_text("SEC0123456789abcdef\n")
    for room in ("registry", "rules"):
        (tmp_path / room).mkdir()
        (tmp_path / room / "some.yaml").write_text("version: 1\n")
    return tmp_path


class Keeper:
    """The small city as the newest site."""

    def __init__(self, *, levels: bool = True) -> None:
        rules = RULES.replace("rules:\n", CHAINS + "rules:\n", 1).replace(
            "- id: ch4-space\n", "- id: ch4-space\n  escalation: gas\n"
        )
        self.registry = registry_of({"r.yaml": registry_yaml(simulation=False)})
        self.plan, _ = compile_plan(load_rules({"g.yaml": rules}), self.registry)
        self.site = Site(self.registry, self.plan)


class Desk:
    def __init__(self, folder, text: str) -> None:
        self.config = config_of(folder, CITY + text)
        self.keeper = Keeper()
        self.now_s = 10
        self.ledger = Ledger(
            f"sqlite:///{folder / 'ledger.sqlite'}",
            outlets=tuple(each.outlet for each in outlets_of(self.config)),
            choose=routing_of(self.config.entry, self.keeper),
            now_ns=lambda: self.now_s * S,
        )
        self._offset = 0

    def told(self, kind: str, severity: int, subject: str = GAS, **more) -> set[str]:
        """Which outlets one event goes to."""
        self._offset += 1
        before = {(row.seq, row.channel) for row in self.ledger.due(limit=1000)}
        more = {"rule": "ch4-space", "klass": "safety", "event_ns": 10 * S} | more
        event = happened(kind, self._offset, severity, subject=subject, receive_ns=10 * S, **more)
        self.ledger.apply([event], self._offset + 1)
        return {r.channel for r in self.ledger.due(limit=1000) if (r.seq, r.channel) not in before}


@pytest.fixture
def desk(folder):
    held = Desk(folder, ROBOTS + ROUTES)
    yield held
    held.ledger.close()


def test_routes_choose_by_domain_level_district_and_class(desk):
    assert desk.told("RAISED", 2) == {"dingtalk:gas", "feishu:night"}
    assert desk.told("RAISED", 4, episode=2) == {"dingtalk:gas", "feishu:night", "email:fire"}
    drain = {"rule": "ponding", "subject": LEVEL}
    assert desk.told("RAISED", 2, episode=3, **drain) == {"wecom:drain", "feishu:night"}
    red = {"wecom:drain", "feishu:night", "email:fire", "dingtalk:gas"}
    assert desk.told("RAISED", 4, episode=4, **drain) == red


def test_who_was_told_of_red_is_told_how_it_goes_on(desk):
    assert desk.told("RAISED", 2) == {"dingtalk:gas", "feishu:night"}
    assert "email:fire" in desk.told("ESCALATED", 4, previous=2)
    assert "email:fire" in desk.told("LOWERED", 2, previous=4, max_severity=4)
    assert "email:fire" in desk.told("CLEARED", 0, previous=2, max_severity=4)


def test_a_first_dangerous_sample_goes_to_all_who_are_told_of_its_full_level(desk):
    """It says itself that it is unconfirmed; who waits for the second one loses a minute."""
    assert "email:fire" in desk.told("RAISED", 4, confirmed=False)


def test_what_no_route_takes_goes_to_all_if_it_is_orange_or_about_ourselves(folder):
    only = ROBOTS.replace("[outlet.feishu.night]", "[outlet.feishu.gas]") + ROUTES
    only = only.replace('to = ["dingtalk:gas"]', 'to = ["dingtalk:gas", "feishu:gas"]', 1)
    desk = Desk(folder, only.replace('district = ["Zhongyuan"]', 'district = ["Elsewhere"]'))
    all_of_them = {"dingtalk:gas", "wecom:drain", "email:fire", "feishu:gas"}
    drain = {"rule": "ponding", "subject": LEVEL}
    assert desk.told("RAISED", 2, episode=2, **drain) == set()
    assert desk.told("RAISED", 3, episode=3, **drain) == all_of_them
    desk.ledger.own_alarm("watch-blind", "no heartbeat", severity=2)
    assert {row.channel for row in desk.ledger.due(limit=99) if "watch-blind" in row.body} == (
        all_of_them
    )
    desk.ledger.close()


def test_without_routes_every_outlet_hears_all_from_its_level_on(folder):
    desk = Desk(folder, ROBOTS.replace("min_severity = 2", "min_severity = 4"))
    robots = {"dingtalk:gas", "wecom:drain", "feishu:night"}
    assert desk.told("RAISED", 1) == set()
    assert desk.told("RAISED", 2, episode=2) == robots
    assert desk.told("RAISED", 4, episode=3) == robots | {"email:fire"}
    desk.ledger.close()


def test_a_step_of_an_escalation_calls_the_outlets_and_departments_it_names(desk):
    desk.told("RAISED", 2)
    desk.now_s = 71
    before = {row.seq for row in desk.ledger.due(limit=99)}
    assert Escalator(desk.ledger, desk.keeper).call_due() == 1
    rows = [row for row in desk.ledger.due(limit=99) if row.seq not in before]
    assert {row.channel for row in rows} == {"dingtalk:gas", "email:fire"}
    said = json.loads(rows[0].body)["escalation"]
    assert said["to"] == ["dingtalk:gas", "department:fire", "sms:nobody"]


def test_the_calls_of_a_simulation_stay_in_the_house(desk):
    event = happened("RAISED", 1, 2, subject=GAS, rule="ch4-space", receive_ns=10 * S)
    desk.ledger.apply([event], 2, simulation=True)
    desk.now_s = 71
    assert Escalator(desk.ledger, desk.keeper).call_due() == 1
    assert desk.ledger.due() == ()


def told_wrong(folder, text: str) -> list[str]:
    with pytest.raises(Invalid) as invalid:
        config_of(folder, CITY + text)
    return [str(problem) for problem in invalid.value.problems]


PREFIX = '[outlet.mqtt.up]\nhost = "b"\nprefix = "lifeline/v1"\n[department.fire]'
IN_THE_CLEAR = (
    'host = "mail.example"\nsecurity = "plain"\nuser = "u"\npassword_file = "key"\nsender'
)


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ('["wecom:drain"]', '["wecom:drian"]', "to = ", 'did you mean "wecom:drain"'),
        ('["department:fire", "d', '["department:fier", "d', "to = ", "write [department.fier]"),
        ('["email:fire"]', '["email:fyre"]', "outlets = ", "no outlet 'email:fyre'"),
        ('["safety", "m', '["safty", "m', "class = ", "'safety', 'maintenance' or 'info'"),
        ('level = ["red"]', 'levels = ["red"]', "levels = ", 'did you mean "level"'),
        ('secret_file = "key"', 'secret = "SECabc"', "secret = ", "secret_file = "),
        ('secret_file = "key"', 'secret_file = "none"', "secret_file", "none cannot be read"),
        ("drain]\nurl_file", "drain]\nurl", "url = ", "secrets do not stand in"),
        ("wecom.drain]", 'wecom.drain]\nsecret_file = "key"', "secret_file", "no signature"),
        ("[outlet.wecom.drain]", "[outlet.wechat.drain]", "[outlet.wechat", '"wechat" (there'),
        ('["fire@city.example"]', '["fire"]', "to = ", "'fire' is no address: write name@host"),
        ('sender = "City <', 'user = "u"\nsender = "City <', "user = ", "has no password"),
        ('host = "127.0.0.1"\nsender', IN_THE_CLEAR, "security", "in the clear"),
        ("[department.fire]", PREFIX, "prefix = ", "for readings"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_outlets_and_routes_is_said_with_its_place(folder, old, new, line, said):
    text = CITY + ROBOTS + ROUTES
    before, found, after = text.rpartition(old)
    assert found
    changed = before + new + after
    end = changed.index("\n", len(before) + len(new))
    within = changed[:end]
    at = within[: within.rindex("\n" + line) + 1 if "\n" + line in within else 0].count("\n") + 1
    told = told_wrong(folder, changed.removeprefix(CITY))
    assert any(f"city.toml:{at}:" in each and said in each for each in told), (at, told)
    assert not any("SECabc" in each for each in told)


def test_a_prefix_beside_the_intake_s_topics_is_taken(folder):
    config_of(folder, CITY + ROBOTS + PREFIX.replace("v1", "v1/x/y").partition("[dep")[0])


def test_a_robot_s_address_must_be_one_and_go_over_tls(folder):
    (folder / "robot").write_text("robots.example\n")
    assert all("holds no address" in line for line in told_wrong(folder, ROBOTS))
    (folder / "robot").write_text("http://robots.example/send?key=abcdefghijklmnop\n")
    found = told_wrong(folder, ROBOTS)
    assert all("only https:// is spoken to robots" in line for line in found)
    assert not any("abcdefghijklmnop" in line for line in found)


def test_tls_locks_the_outlets_too(folder):
    tls = '[tls]\n[outlet.alertmanager.main]\nurl = "http://a:9093"\n[outlet.mqtt.up]\nhost = "b"\n'
    tls += 'tls = false\n[outlet.email.x]\nhost = "m"\nsecurity = "plain"\n'
    tls += 'sender = "a@b"\nto = ["c@d"]\n'
    found = " ".join(told_wrong(folder, tls))
    for said in ("url: with [tls] only https://", "tls: [tls] locks", "security: [tls] locks"):
        assert said in found


def test_routes_for_what_the_site_does_not_have_are_refused_with_their_place(folder):
    wrong = ROUTES.replace('"Zhongyuan"', '"Zhongyuen"').replace('["red"]', '["rot"]')
    wrong = wrong.replace('domain = ["gas"]', 'domain = ["gaz"]')
    text = CITY + ROBOTS + wrong
    document, keeper = read_toml("city.toml", text), Keeper()
    check_routes(config_of(folder, text), document, keeper.registry, keeper.plan)
    found = [str(problem) for problem in document.problems]
    there = " (there are: blue, yellow, orange, red)"
    near = ' (did you mean "Zhongyuan"?)'
    assert found == [
        'city.toml:24:10: domain: this site has no domain \'gaz\' (did you mean "gas"?)',
        "city.toml:28:9: level: this site has no level 'rot'" + there,
        "city.toml:32:12: district: this site has no district 'Zhongyuen'" + near,
    ]  # fmt: skip


def test_doctor_says_whom_nobody_tells_and_whom_nobody_calls(folder):
    keeper = Keeper()
    general = config_of(folder, CITY + ROBOTS + ROUTES)
    said = [each.found for each in examined.told_to_nobody(general, keeper.registry, keeper.plan)]
    assert said == ["no outlet here is called sms:nobody; so nobody is called 无人被呼叫"]
    routed = (
        ROBOTS.split("[outlet.feishu", maxsplit=1)[0]
        + ROBOTS[ROBOTS.index("[department") :]
        + ROUTES
    )
    config = config_of(folder, CITY + routed)
    assert outlet_names(config) == ["email:fire", "wecom:drain", "dingtalk:gas"]
    holes = next(iter(examined.told_to_nobody(config, keeper.registry, keeper.plan))).found
    assert "env Zhongyuan yellow" in holes
    assert "gas" not in holes


def test_doctor_says_what_waits_at_an_outlet_and_why(desk):
    desk.told("RAISED", 3)
    desk.ledger.settle(1, "dingtalk:gas", status="given_up", reason="dingtalk 40035 missing")
    said = {each.what: each.found for each in examined.waiting_rows(desk.ledger)}
    assert said["outbox dingtalk:gas"] == "1 given up 已放弃: dingtalk 40035 missing"
    assert said["outbox feishu:night"] == "1 wait 等待发送"
