"""The JSON Schema that editors use agrees with the loader: no good file is refused."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import pytest
import yaml
from typer.testing import CliRunner

from lifeline.cli.app import app
from rules.language.kinds import KINDS
from rules.language.meanings import MEANINGS
from rules.language.schema import rule_schema

ROOT = Path(__file__).parents[2]
SCHEMA = rule_schema()
JUDGE = jsonschema.Draft202012Validator(SCHEMA)
EXAMPLES = re.findall(
    r"```yaml\n(.*?)```", (ROOT / "docs" / "rules.md").read_text(encoding="utf-8"), re.DOTALL
)
FIRST = (
    "{version: 1, rules: [{id: r, kind: threshold, source: estimate, select: {}, above: {red: 1}"
)


def faults(text):
    return [f"{list(e.path)}: {e.message}" for e in JUDGE.iter_errors(yaml.safe_load(text))]


def test_it_is_a_schema_of_its_dialect():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("pack", sorted((ROOT / "rules" / "packs").glob("[a-z]*.yaml")))
def test_the_shipped_packs_are_good(pack):
    if not pack.name.endswith(".test.yaml"):
        assert faults(pack.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_the_examples_of_the_reference_are_good(number):
    assert faults(EXAMPLES[number]) == []


@pytest.mark.parametrize(
    ("tail", "word"),
    [
        (", abve: {red: 1}}]}", "abve"),
        (", kind: treshold}]}", "treshold"),
        (", lambda: 0.1}]}", "lambda"),
        (", fail_loud: 3}]}", "3"),
        (", overrides: [{match: {}, set: {x: 1}}]}]}", "reason"),
        ("}], extra: 1}", "extra"),
    ],
)
def test_what_the_loader_refuses_by_its_shape_the_schema_refuses_too(tail, word):
    assert faults(FIRST + "}]}") == []
    assert any(word in said for said in faults(FIRST + tail))


def test_every_key_says_what_it_means_and_nothing_else_is_explained():
    seen = set()

    def walk(held):
        if isinstance(held, dict):
            for key, schema in held.get("properties", {}).items():
                if list(schema) != ["const"]:
                    assert schema["description"] == MEANINGS[key]
                    seen.add(key)
            for each in held.values():
                walk(each)
        elif isinstance(held, list):
            for each in held:
                walk(each)

    walk(SCHEMA)
    assert seen == set(MEANINGS)
    assert {f"rule-{kind}" for kind in KINDS} <= set(SCHEMA["$defs"])


def test_the_page_of_it_is_no_older_than_the_models(tmp_path):
    path = tmp_path / "reference.md"
    done = CliRunner().invoke(app, ["rules", "schema", "--markdown", str(path)])
    assert done.exit_code == 0
    kept = Path(__file__).parents[2] / "docs" / "rules-reference.md"
    remedy = "run lifeline rules schema --markdown docs/rules-reference.md"
    assert path.read_text(encoding="utf-8") == kept.read_text(encoding="utf-8"), remedy


def test_the_command_writes_it(tmp_path):
    path = tmp_path / "rules.schema.json"
    done = CliRunner().invoke(app, ["rules", "schema", "--out", str(path)])
    assert done.exit_code == 0
    assert json.loads(path.read_text(encoding="utf-8")) == SCHEMA
    assert json.loads(CliRunner().invoke(app, ["rules", "schema"]).output) == SCHEMA
