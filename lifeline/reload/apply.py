"""Put a site's texts into force in a running system, and say what that changes."""

from __future__ import annotations

import json
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from lifeline.data_folder import holder_pid
from lifeline.errors import Missing, NotTaken
from lifeline.ledger import LedgerError
from lifeline.ledger.mirror import ControlRefused, ask
from lifeline.ledger.open import open_ledger
from lifeline.preflight import compiled
from rules.alarms import Condition
from rules.engine.difference import Difference, difference

if TYPE_CHECKING:
    from pathlib import Path

    from lifeline.preflight import SiteTexts
    from rules.problems import Problem
    from rules.registry import Registry

Result = Literal["applied", "unchanged", "checked"]
ANSWER_WITHIN_S = 60.0
"""Ingest compiles what it is to take, and a large city's registry takes seconds."""
BACK_WITHIN_S = 10.0
"""How long an ingest that is being started may take until it listens."""
MOST_ALARMS = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What a change did, or would do (``checked``). Without difference it is ``unchanged``."""

    result: Result
    offset: int | None  # of its record in the journal; None where there is none
    before: dict[str, str]  # hashes by kind
    after: dict[str, str]
    difference: Difference
    channels: tuple[str, ...]  # that are new
    channels_gone: tuple[str, ...]  # that are watched no more; their rows stay reserved
    alarms: tuple[str, ...] | None  # open alarms that end with RULE_CHANGED; None: ledger away
    warnings: tuple[Problem, ...]

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "result": self.result,
            "offset": self.offset,
            "before": self.before,
            "after": self.after,
            "rules": [rule.to_json() for rule in self.difference.rules],
            "turned": {"live": list(self.difference.live), "shadow": list(self.difference.shadow)},
            "channels_added": list(self.channels),
            "channels_removed": list(self.channels_gone),
            "alarms_ending": None if self.alarms is None else list(self.alarms),
            "warnings": [problem.to_json() for problem in self.warnings],
        }


def apply_site(
    data: Path, texts: SiteTexts, *, check: bool = False, by: str = "", how: str = ""
) -> Applied:
    """Let the system that runs on ``data`` go on with ``texts``, from one journal record on.

    The texts are stored under their hashes first, then one record names both: killed in between,
    nothing has changed. ``check`` only says what would change. ``by`` (a person) and ``how`` (the
    way it was asked for) stand in the record.

    Raises
    ------
    NotTaken
        Nothing runs on ``data``, it did not answer, or it refused; what held still holds.
    Missing
        A text that holds now cannot be read.
    """
    after = {"registry": texts.registry_hash, "rules": texts.rules_hash}
    held = compiled(data, texts.made_of)
    told = difference(held, (texts.plan, texts.registry))
    result: Result = "checked" if check else "applied"
    offset = None
    if texts.made_of == after:
        result = "unchanged"
    alarms = _ending(data, told) if result != "unchanged" else ()
    if result == "applied":
        try:
            texts.store(data)
        except OSError as error:
            said = f"{data}: the texts cannot be stored ({error.strerror}); make room, try again"
            raise NotTaken(said) from error
        named = {**after, "instead_of": texts.made_of, "by": by, "how": how}
        offset = _asked(data, {**named, "command": f"reload-{uuid.uuid4()}"})
    was, now = _living(held[1]), _living(texts.registry)
    return Applied(
        result=result,
        offset=offset,
        before=texts.made_of,
        after=after,
        difference=told,
        channels=tuple(name for name in now if name not in was),
        channels_gone=tuple(name for name in was if name not in now),
        alarms=alarms,
        warnings=tuple(texts.warnings),
    )


def _living(registry: Registry) -> dict[str, None]:
    alive = registry.channels.alive.tolist()
    return {name: None for name, lives in zip(registry.channels.id, alive, strict=True) if lives}


def _ending(data: Path, told: Difference) -> tuple[str, ...] | None:
    """Return the ids of the alarms that stand at places that end; None where the ledger is away."""
    if not told.ended:
        return ()
    try:
        ledger = open_ledger(data)
        try:
            standing = ledger.open_alarms(limit=MOST_ALARMS)
        finally:
            ledger.close()
    except Missing:
        return ()
    except LedgerError:
        return None
    return tuple(
        alarm.alarm_id
        for alarm in standing
        if alarm.condition is Condition.ACTIVE
        and (alarm.rule, alarm.side, alarm.subject) in told.ended
    )


def _asked(data: Path, named: dict[str, Any]) -> int:
    """Return the journal offset at which the running system took the change."""
    path = data / "run" / "control.sock"
    line = json.dumps({"type": "site", "data": named}, ensure_ascii=False)
    give_up_s = time.monotonic() + BACK_WITHIN_S
    while True:
        try:
            return ask(path, line, timeout_s=ANSWER_WITHIN_S)
        except ControlRefused as error:
            raise NotTaken(str(error)) from error
        except (FileNotFoundError, ConnectionRefusedError) as error:
            if holder_pid(data) is None:
                said = "nothing runs on this data folder; its next start takes the site's folder"
                raise NotTaken(f"{data}: {said} as it is then") from error
            if time.monotonic() > give_up_s:
                said = f"ingest does not listen ({error.strerror}); see its log, and try again"
                raise NotTaken(f"{path}: {said}") from error
            time.sleep(0.1)  # it is starting, or being started again
        except OSError as error:
            said = f"{error}; whether it was taken, the same reload once more will tell"
            raise NotTaken(f"{path}: {said}") from error
