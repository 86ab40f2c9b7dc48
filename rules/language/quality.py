"""The ``quality:`` section: checks that flag readings before any rule judges them.

What each key means is said in docs/kinds/quality.md, how it becomes arrays in quality_plan.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import Field, PlainValidator, model_validator

from rules.language.amounts import Amount, AmountValue, SpanValue, Written, read_amount
from rules.language.models import ChannelSelect, RuleId
from rules.problems import Problem, Severity, nearest
from rules.strict_models import DurationNs, Strict, validated

if TYPE_CHECKING:
    from rules.strict_models import Path
    from rules.yaml_text import Document

NOUN: Final = "check"
LSB: Final = "lsb"  # the unit of a channel's registered resolution


def _ends(value: object) -> tuple[Amount | None, Amount | None]:
    if not isinstance(value, list) or len(value) != 2:
        raise ValueError("must be a span of two ends, such as [-2, 80]; null leaves an end open")
    low, high = (None if end is None else read_amount(end) for end in value)
    if low is None and high is None:
        raise ValueError("both ends are open: everything is inside")
    return low, high


def _closed(value: object) -> tuple[Amount, Amount]:
    low, high = _ends(value)
    if low is None or high is None:
        raise ValueError("needs both ends, such as [0 m, 0.01 m]")
    return low, high


def _sigmas(value: object) -> float:
    amount = read_amount(value)
    if amount.unit not in ("", "sigma") or amount.number <= 0:
        raise ValueError(f"must be a number of sigma above 0, such as 4 sigma, not {value!r}")
    return amount.number


Ends = Annotated[
    tuple[Amount | None, Amount | None],
    PlainValidator(_ends, json_schema_input_type=list[Written | None]),
]
Closed = Annotated[
    tuple[Amount, Amount], PlainValidator(_closed, json_schema_input_type=list[Written])
]
Sigmas = Annotated[float, PlainValidator(_sigmas, json_schema_input_type=Written)]


class CheckBody(Strict):
    """What every check has."""

    id: RuleId
    kind: str
    select: ChannelSelect
    unit: str = ""  # of all numbers without a unit of their own
    max_gap: SpanValue | None = None


class RangeCheck(CheckBody):
    """Values outside a span, and fault codes of the device."""

    kind: Literal["range"]
    suspect: Ends | None = None
    fail: Ends | None = None
    corrupt: list[float] = Field(default_factory=list)  # as the device sends them

    @model_validator(mode="after")
    def _something(self) -> RangeCheck:
        if self.suspect is None and self.fail is None and not self.corrupt:
            raise ValueError("has nothing to check: write suspect, fail or corrupt")
        return self


class ClockCheck(CheckBody):
    """Stamps too far from the time of receipt."""

    kind: Literal["clock"]
    future_max: DurationNs | None = None
    past_max: DurationNs | None = None

    @model_validator(mode="after")
    def _something(self) -> ClockCheck:
        if self.future_max is None and self.past_max is None:
            raise ValueError("has nothing to check: write future_max or past_max")
        return self


class GapCheck(CheckBody):
    """Too long since the value before."""

    kind: Literal["gap"]
    suspect: SpanValue


class SpikeCheck(CheckBody):
    """Far from the median of the values before, and back again."""

    kind: Literal["spike"]
    method: Literal["hampel"] = "hampel"
    window: Annotated[int, Field(ge=3, le=31)] = 9
    suspect: Sigmas
    fail: Sigmas | None = None
    floor: AmountValue | None = None  # least sigma; default 1 lsb
    max_width: Annotated[int, Field(ge=1, le=15)] = 1

    @model_validator(mode="after")
    def _fits(self) -> SpikeCheck:
        if self.max_width > (self.window - 1) // 2:
            least = 2 * self.max_width + 1
            raise ValueError(
                f"max_width {self.max_width} needs a window of at least {least}:"
                " the median must not follow the spike"
            )
        if self.fail is not None and self.fail < self.suspect:
            raise ValueError("fail is nearer than suspect: write the larger one as fail")
        return self


class DropoutCheck(CheckBody):
    """Falls to what a broken line reads, and comes back."""

    kind: Literal["dropout"]
    to: Closed
    max_width: SpanValue


class StuckCheck(CheckBody):
    """Does not move for so long."""

    kind: Literal["stuck"]
    tolerance: AmountValue
    suspect: SpanValue | None = None
    fail: SpanValue | None = None
    quiet: Closed | None = None  # values that may stand still, such as no gas

    @model_validator(mode="after")
    def _something(self) -> StuckCheck:
        if self.suspect is None and self.fail is None:
            raise ValueError("has nothing to check: write suspect or fail")
        return self


CHECKS: Final[dict[str, type[CheckBody]]] = {
    "range": RangeCheck,
    "clock": ClockCheck,
    "gap": GapCheck,
    "spike": SpikeCheck,
    "dropout": DropoutCheck,
    "stuck": StuckCheck,
}


@dataclass(frozen=True, slots=True)
class Check:
    """One check as read, and where it stands."""

    body: Any
    document: Document
    path: Path

    @property
    def file(self) -> str:
        """Return ``gas.yaml:12``."""
        return f"{self.document.name}:{self.document.at(self.path)[0]}"

    def problem(self, within: Path, message: str, severity: Severity = "error") -> Problem:
        """Return a problem at a path within the check."""
        line, column = self.document.at((*self.path, *within), key=True)
        return Problem(self.document.name, line, column, self.body.id, message, severity, NOUN)


def read_checks(document: Document, items: list[Any], known: dict[str, Check]) -> None:
    """Add the checks of one file to ``known``; what is wrong is noted in the document."""
    for i, item in enumerate(items):
        path: Path = ("quality", i)
        if not isinstance(item, dict):
            said = f"a check must be a mapping, not {str(item)[:40]!r}"
            document.problem(path, said, noun=NOUN)
            continue
        who = str(item.get("id", f"number {i + 1}"))[:64]
        kind = item.get("kind")
        if "kind" not in item:
            said = f'key "kind" is missing: one of {", ".join(CHECKS)}'
            document.problem(path, said, who=who, noun=NOUN)
            continue
        if not isinstance(kind, str) or kind not in CHECKS:
            said = f"unknown kind {str(kind)[:40]!r}{nearest(kind, CHECKS)}: one of "
            document.problem((*path, "kind"), said + ", ".join(CHECKS), who=who, noun=NOUN)
            continue
        body = validated(CHECKS[kind], item, document, path, who=who, noun=NOUN)
        if body is None:
            continue
        if body.id in known:
            said = f"the id stands twice, first at {known[body.id].file}"
            document.problem((*path, "id"), said, who=who, noun=NOUN)
            continue
        known[body.id] = Check(body, document, path)
