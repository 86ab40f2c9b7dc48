"""``lifeline alarms shelve|unshelve|comment|assign|classify|truth``: what people do with alarms."""

from __future__ import annotations

import getpass
import json
import uuid
from contextlib import contextmanager
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rules.alarms import CAUSES
from rules.durations import parse_duration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lifeline.ledger.people import People
    from rules.alarms import Alarm

Id = Annotated[str, typer.Argument(help="The id from `lifeline alarms list`.")]
Where = Annotated[Path, typer.Option("--in", help="A city's folder or its data folder.")]
By = Annotated[str, typer.Option(help="Who you are; left out, who you are logged in as.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the alarm as JSON.")]


class Verdict(StrEnum):
    """Whether an alarm was true."""

    TRUE = "true"
    FALSE = "false"


@contextmanager
def _people(folder: Path) -> Iterator[tuple[People, Callable[[str], Alarm | None]]]:
    from lifeline.ledger.open import open_ledger
    from lifeline.ledger.people import People

    ledger = open_ledger(folder)

    def seen(alarm_id: str) -> Alarm | None:
        found = ledger.alarm(alarm_id)
        return found[0] if found else None

    try:
        yield People(ledger), seen
    finally:
        ledger.close()


def _tell(alarm: Alarm, said: str, *, as_json: bool) -> None:
    if as_json:
        told = asdict(alarm) | {"word": str(alarm.word)}
        print(json.dumps(told, ensure_ascii=False, indent=2, default=str))
    else:
        print(f"{alarm.alarm_id}: {said}; now {alarm.word}")


def _order(by: str) -> dict[str, str]:
    return {"by": by or getpass.getuser(), "command": f"cli-{uuid.uuid4()}"}


def shelve(
    alarm_id: Id,
    *,
    reason: Annotated[str, typer.Option(help="Why it need not call.")],
    for_: Annotated[str, typer.Option("--for", help="How long, such as 30m or 4h.")] = "1h",
    by: By = "",
    folder: Where = Path(),
    as_json: AsJson = False,
) -> None:
    """Keep an alarm from announcing; red takes a second person who orders the same."""
    try:
        for_ns = parse_duration(for_)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--for") from error
    with _people(folder) as (people, seen):
        alarm = seen(alarm_id)
        done = people.shelve(
            alarm_id,
            reason=reason,
            for_ns=for_ns,
            expected_seq=alarm.seq if alarm is not None else 0,
            **_order(by),
        )
    asked = done.shelf is None
    _tell(done, "a second person decides" if asked else f"shelved for {for_}", as_json=as_json)


def unshelve(alarm_id: Id, *, by: By = "", folder: Where = Path(), as_json: AsJson = False) -> None:
    """Take an alarm from its shelf before its time."""
    with _people(folder) as (people, _):
        done = people.unshelve(alarm_id, **_order(by))
    _tell(done, "taken from its shelf", as_json=as_json)


def comment(
    alarm_id: Id,
    text: Annotated[str, typer.Argument(help="What you know about it.")],
    *,
    by: By = "",
    folder: Where = Path(),
    as_json: AsJson = False,
) -> None:
    """Write a note about an alarm."""
    with _people(folder) as (people, _):
        done = people.comment(alarm_id, text=text, **_order(by))
    _tell(done, "noted", as_json=as_json)


def assign(
    alarm_id: Id,
    to: Annotated[str, typer.Argument(help="Who looks after it; '' nobody.")],
    *,
    by: By = "",
    folder: Where = Path(),
    as_json: AsJson = False,
) -> None:
    """Say who looks after an alarm."""
    with _people(folder) as (people, _):
        done = people.assign(alarm_id, to=to, **_order(by))
    _tell(done, f"with {to}" if to else "with nobody", as_json=as_json)


def classify(
    alarm_id: Id,
    verdict: Annotated[Verdict, typer.Argument(help="Whether it was true.")],
    cause: Annotated[str, typer.Argument(help=f"What caused it: {', '.join(CAUSES)}.")],
    *,
    text: Annotated[str, typer.Option("--comment", help="What was found.")] = "",
    by: By = "",
    folder: Where = Path(),
    as_json: AsJson = False,
) -> None:
    """Say whether an alarm was true, and what caused it."""
    with _people(folder) as (people, _):
        done = people.classify(
            alarm_id, verdict=verdict.value, cause=cause, comment=text, **_order(by)
        )
    _tell(done, f"{verdict.value}, {cause}", as_json=as_json)


def truth(
    out: Annotated[Path, typer.Argument(help="The file, CSV, for back-test and suggest.")],
    *,
    folder: Where = Path(),
    as_json: AsJson = False,
) -> None:
    """Write what operators found true as a truth file."""
    from lifeline.ledger.open import open_ledger
    from lifeline.verdicts import write_truth

    ledger = open_ledger(folder)
    try:
        told = write_truth(ledger, out)
    finally:
        ledger.close()
    if as_json:
        print(json.dumps(told._asdict()))
    else:
        print(f"{out}: {told.true} true; {told.false} false, {told.open} without a verdict")
