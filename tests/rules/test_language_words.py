"""What a rule says beside its limits: labels, maturity, runbooks. None of it shapes a decision."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import rules
from rules.engine import Engine
from rules.language import check, compile_plan, load_rules, rules_bytes, rules_from_bytes
from rules.language.runbooks import is_runbook, paragraphs, read_runbooks
from rules.readings import Readings, Record, Tick
from rules.registry_file import TEST_SUFFIXES, registry_of

BOOK = """# Gas in a well · 井室燃气

## 中文
1. 复核。

## English
1. Look,
   twice.
2. Tell.
"""
RULE = """version: 1
rules:
- id: gas
  kind: threshold
  source: estimate
  source_text: a guess
  select: {quantity: ch4}
  unit: "%{vol}"
  above: {red: 2}
  labels: {team: gas-duty, shift: "2"}
  known_false_positives: [biogas]
  runbook: gas-well
  message: "{{ asset.name }}: gas, tell {{ labels.team }}"
"""
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
SOURCES = {"gas.yaml": RULE, "runbooks/gas-well.md": BOOK}
PACKS = Path(rules.__file__).parent / "packs"


def errors(sources):
    return [str(p) for p in check(sources) if p.severity == "error"]


def test_the_plan_carries_what_a_rule_says_of_itself():
    plan, problems = compile_plan(load_rules(SOURCES), REGISTRY)
    assert problems == []
    (rule,) = plan.channel_rules
    assert dict(rule.labels) == {"team": "gas-duty", "shift": "2"}
    assert (rule.status, rule.source_text, rule.runbook) == ("trial", "a guess", "gas-well")
    assert rule.known_false_positives == ("biogas",)
    book = plan.runbooks["gas-well"]
    assert (book.title, book.title_zh, book.zh) == ("Gas in a well", "井室燃气", "1. 复核。")
    assert paragraphs(book.en) == ["1. Look, twice.", "2. Tell."]


def test_stored_rules_keep_the_runbooks_of_their_time():
    loaded = load_rules(SOURCES)
    again = rules_from_bytes(rules_bytes(loaded))
    assert again.runbooks == loaded.runbooks
    assert again.content_hash == loaded.content_hash
    other = load_rules(SOURCES | {"runbooks/gas-well.md": BOOK.replace("Tell.", "Call.")})
    assert other.content_hash != loaded.content_hash


def test_a_change_of_words_keeps_a_standing_alarm():
    before, _ = compile_plan(load_rules(SOURCES), REGISTRY)
    changed = RULE.replace("gas-duty", "night-duty").replace("a guess", "a better guess")
    changed = changed.replace("[biogas]", "[solvent]").replace(
        "message:", "status: stable\n  message:"
    )
    after, _ = compile_plan(load_rules(SOURCES | {"gas.yaml": changed}), REGISTRY)
    assert after.channel_rules[0].status == "stable"
    engine = Engine(before, REGISTRY)
    rows = {"channel": [0, 0], "judged_ns": np.array([1, 2]) * 60 * 10**9, "value": [3.0, 3.0]}
    events = engine.fold([Record(0, Tick(0)), Record(1, Readings.of(rows))])
    assert [e.type.value for e in events] == ["RAISED"]
    assert engine.change(after, REGISTRY, offset=5) == []
    back = {"channel": [0], "judged_ns": [180 * 10**9], "value": [0.0]}
    events = engine.fold([Record(6, Readings.of(back))])
    assert [e.type.value for e in events] == ["CLEARED"]


def test_a_label_a_message_names_must_be_there():
    wrong = RULE.replace("labels.team", "labels.tema")
    said = 'gas.yaml:13:3: rule "gas": message: the rule has no label "tema" (did you mean "team"?)'
    assert errors(SOURCES | {"gas.yaml": wrong}) == [said]


def test_a_file_and_a_list_of_files_find_the_runbooks_beside_them(tmp_path):
    (tmp_path / "runbooks").mkdir()
    for name, text in SOURCES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    for where in (tmp_path, tmp_path / "gas.yaml", [tmp_path / "gas.yaml"]):
        assert list(load_rules(where).runbooks) == ["gas-well"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            BOOK.replace(" · 井室燃气", ""),
            "runbooks/gas-well.md:1:1: the first line must be the title",
        ),
        (BOOK.replace("## 中文\n", ""), "runbooks/gas-well.md:1:1: has no steps under ## 中文"),
        (BOOK.partition("## English")[0], "has no steps under ## English"),
        ("", "the first line must be the title in both languages: # English · 中文"),
    ],
)
def test_a_runbook_speaks_both_languages(text, said):
    assert any(said in each for each in errors(SOURCES | {"runbooks/gas-well.md": text}))


def test_a_red_level_without_a_runbook_is_a_warning():
    bare = RULE.replace("  runbook: gas-well\n", "")
    told = [str(p) for p in check({"gas.yaml": bare}, REGISTRY)]
    said = "red alarms without a runbook: write runbook: NAME, and runbooks/NAME.md"
    assert told == [f'gas.yaml:3:3: warning: rule "gas": {said}']
    assert check({"gas.yaml": bare.replace("red", "orange")}, REGISTRY) == []


# ---- the shipped packs -----------------------------------------------------------------------

SHIPPED = load_rules(PACKS)


@pytest.mark.parametrize("rule", SHIPPED.rules, ids=lambda rule: rule.id)
def test_every_shipped_rule_tells_what_it_is_and_what_to_do(rule):
    body = rule.body
    assert "status" in rule.raw
    assert body.source_text
    assert body.message.isascii()
    assert body.message
    assert not body.message_zh.isascii()
    assert body.runbook in SHIPPED.runbooks
    assert body.labels["team"]
    for text in body.known_false_positives:
        english, _, chinese = text.partition(" · ")
        assert english.isascii()
        assert not chinese.isascii()
    assert body.known_false_positives


def test_every_shipped_runbook_is_named_by_a_rule_and_switches_no_plant():
    assert set(SHIPPED.runbooks) == {rule.body.runbook for rule in SHIPPED.rules}
    for book in SHIPPED.runbooks.values():
        english, chinese = paragraphs(book.en), paragraphs(book.zh)
        assert len(english) == len(chinese) >= 4, book.name
        numbers = [re.match(r"(\d+)\. ", step)[1] for step in english + chinese]
        assert numbers == [str(i + 1) for i in range(len(english))] * 2


def test_no_shipped_problem_but_of_the_registry():
    texts = {p.name: p.read_text("utf-8") for p in PACKS.glob("*.yaml")}
    rule_files = {n: t for n, t in texts.items() if not n.endswith(TEST_SUFFIXES)}
    books = {n: t for n, t in SHIPPED.sources.items() if is_runbook(n)}
    assert check(rule_files | books) == []
    assert read_runbooks(books)[1] == []
