"""The rule language: YAML files → RuleSet → Plan, every problem with its place.

``load_rules(folder)`` reads, ``compile_plan(rules, registry)`` compiles, and
``check(folder, registry)`` lists what is wrong without raising. docs/rules.md is the format.
"""

from rules.language.compiler import check, compile_plan
from rules.language.kinds import DEFAULT_MESSAGES
from rules.language.loader import load_rules, rules_bytes, rules_from_bytes
from rules.language.messages import PLACEHOLDERS, render
from rules.language.ruleset import Rule, RuleSet
from rules.problems import Invalid, Problem

__all__ = [
    "DEFAULT_MESSAGES",
    "PLACEHOLDERS",
    "Invalid",
    "Problem",
    "Rule",
    "RuleSet",
    "check",
    "compile_plan",
    "load_rules",
    "render",
    "rules_bytes",
    "rules_from_bytes",
]
