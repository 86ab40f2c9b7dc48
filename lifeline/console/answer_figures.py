"""What ``GET /api/kpis`` answers, field by field, for the API's document: `answer_models.py`."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel


class Figure(BaseModel):
    """One figure beside its target; ``met`` None where it has none or cannot be told."""

    key: str
    severity: int
    value: float | None
    unit: str
    target: float | None
    limit: float | None
    relation: str
    met: bool | None
    beyond: bool
    count: int | None
    text: str
    target_text: str
    words: dict[Literal["en", "zh"], str]


class Source(BaseModel):
    """A rule on a subject and side, and how often it called."""

    rule: str
    subject: str
    side: int
    calls: int


class FloodSpan(BaseModel):
    """A flood and how many alarms called in it."""

    from_ms: int
    to_ms: int
    calls: int


class Calls(BaseModel):
    """What called somebody, by equal bins."""

    total: int
    bins: list[int]
    bin_s: float
    by_severity: dict[str, int]
    floods: list[FloodSpan]


class Times(BaseModel):
    """How long answers took."""

    count: int
    p50_s: float
    p90_s: float
    p99_s: float


class Verdicts(BaseModel):
    """What people found a rule's alarms to be; ``causes`` of the false ones."""

    true: int
    false: int
    none: int
    causes: dict[str, int]


class KpisAnswer(BaseModel):
    """The figures of the alarm system over a span."""

    from_ms: int
    to_ms: int
    operators: int
    simulation: bool
    figures: list[Figure]
    calls: Calls
    sources: list[Source]
    chattering: list[Source]
    fleeting: list[Source]
    raised: int
    ended: int
    acknowledged: dict[str, Times]
    closed: dict[str, Times]
    unseen: dict[str, int]
    waiting: int
    standing: int
    stale: list[str]
    verdicts: dict[str, Verdicts]
    unprotected: list[str]
