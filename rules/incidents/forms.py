"""Handling and members as JSON, which the ledger keeps."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from rules.incidents.flow import Handling, Stage
from rules.incidents.grouping import Member
from rules.incidents.places import Place


def state_of(handling: Handling) -> str:
    """Return the handling as JSON."""
    return _json(asdict(handling))


def handling_of(state: str) -> Handling:
    """Return the handling of its JSON."""
    raw = json.loads(state)
    return Handling(**raw | {"stage": Stage(raw["stage"])})


def body_of(member: Member) -> str:
    """Return a member as JSON."""
    return _json(asdict(member))


def member_from(body: str) -> Member:
    """Return the member of its JSON."""
    raw = json.loads(body)
    place = raw["place"]
    return Member(**raw | {"place": Place(**place | {"at": tuple(place["at"])})})


def _json(raw: dict[str, Any]) -> str:
    return json.dumps(raw, ensure_ascii=False, separators=(",", ":"))
