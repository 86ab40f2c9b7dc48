"""An alarm carries its rule's labels and runbook to the page and to who is notified."""

from __future__ import annotations

from lifeline.console.advice import advice
from lifeline.console.sentences import words
from lifeline.console.view import alarm_json
from lifeline.notify import labelled
from lifeline.packs import copy_packs
from lifeline.site import Site
from rules.alarm_fold import AlarmFold
from rules.events import Event, EventType
from rules.language import compile_plan, load_rules
from rules.registry_file import registry_of

CHANNEL = "410100-gas-mh-000001/x/ch4"
REGISTRY = registry_of(
    {
        "city.yaml": """
version: 1
devices:
- {id: 410100-gas-nb-000001, kind: module, transport: coap, codec: compact,
   asset: 410100-gas-mh-000001, every: 1m}
assets:
- id: 410100-gas-mh-000001
  type: manhole
  sensors:
  - {id: x, device: 410100-gas-nb-000001, channels: [{id: ch4, quantity: ch4, range: [0, 5]}]}
"""
    }
)


def site_of(folder) -> Site:
    copy_packs(folder)
    path = folder / "gas.yaml"
    text = path.read_text(encoding="utf-8").replace("measured {{ measured }}", "{{ labels.team }}")
    path.write_text(text, encoding="utf-8")
    return Site(REGISTRY, compile_plan(load_rules(folder), REGISTRY)[0])


def alarm_of(rule: str = "gas-ch4-space", subject: str = CHANNEL):
    fold = AlarmFold()
    event = Event(
        type=EventType.RAISED, offset=1, row=0, rule=rule, subject=subject, side=1,
        severity=4, max_severity=4, episode="1.0", value=3.0, score=3.0, limit=2.5,
    )  # fmt: skip
    return fold.apply(event, 1).changed[-1]


def test_a_notification_has_labels_alertmanager_takes(tmp_path):
    told = labelled(alarm_of(), site_of(tmp_path))
    assert told["labels"] == {
        "alertname": "gas-ch4-space", "alarm": alarm_of().alarm_id, "subject": CHANNEL,
        "severity": "4", "level": "red", "domain": "gas", "class": "safety", "team": "gas-duty",
    }  # fmt: skip
    assert all(isinstance(text, str) and text for text in told["labels"].values())
    assert (told["runbook"], told["status"]) == ("gas-leak", "stable")
    assert told["runbook_title"]["zh"] == "密闭空间甲烷超限"


def test_a_dead_man_rules_labels_are_told_too(tmp_path):
    told = labelled(alarm_of("module-silent", "410100-gas-nb-000001"), site_of(tmp_path))
    assert told["labels"]["team"] == "platform-duty"
    assert told["runbook"] == "device-silent"


def test_what_no_rule_says_is_left_away(tmp_path):
    for site in (None, site_of(tmp_path)):
        told = labelled(alarm_of("gone", CHANNEL), site)
        assert set(told) == {"labels"}
        assert told["labels"]["alertname"] == "gone"
        assert "team" not in told["labels"]


def test_the_page_gets_steps_labels_and_what_alarms_without_danger(tmp_path):
    site = site_of(tmp_path)
    told = advice(alarm_of(), site)
    assert told["runbook"] == "gas-leak"
    assert told["steps"]["en"]["steps"][0].startswith("1. The first dangerous sample alarms")
    assert told["steps"]["zh"]["title"] == "密闭空间甲烷超限"
    assert told["labels"] == {"team": "gas-duty"}
    assert any("沼气" in text for text in told["known_false_positives"])
    assert (told["maturity"], "GB/T 50493" in told["limits_from"]) == ("stable", True)
    listed = alarm_json(alarm_of(), site, zone="Asia/Shanghai", simulation=False)
    assert listed["labels"] == {"team": "gas-duty"}
    without = advice(alarm_of("gone"), site)
    assert (without["steps"], without["labels"], without["runbook"]) == (None, {}, "")
    assert advice(alarm_of(), None)["steps"] is None


def test_a_message_may_name_a_label(tmp_path):
    said = words(alarm_of(), site_of(tmp_path), "en", zone="Asia/Shanghai").sentence
    assert "gas-duty" in said
