"""``lifeline alarms shelve|unshelve|comment|assign|classify|truth``: what people do with alarms.

By ``--server`` the running city's API does it, with the roles of the token's account; otherwise the
ledger in the folder is written, which needs its files and no login.
"""

from __future__ import annotations

import getpass
import json
import uuid
from contextlib import closing
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lifeline.cli.city_api import CaFile, CityApi, Server, TokenFile
from rules.alarms import CAUSES
from rules.durations import parse_duration

if TYPE_CHECKING:
    from collections.abc import Callable

    from lifeline.ledger import Ledger
    from rules.alarms import Alarm

Id = Annotated[str, typer.Argument(help="The id from `lifeline alarms list`.")]
Where = Annotated[Path, typer.Option("--in", help="A city's folder or its data folder.")]
By = Annotated[
    str, typer.Option(help="Who you are; left out, who you are logged in as. With accounts: none.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the alarm as JSON.")]
MINUTE_NS = 60 * 10**9


class Verdict(StrEnum):
    """Whether an alarm was true."""

    TRUE = "true"
    FALSE = "false"


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """An alarm after an order: what lines say of it, and all of it as JSON."""

    alarm_id: str
    word: str
    shelved: bool
    acked_by: str
    told: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """By what way orders go: a running city's API, or the ledger's own files."""

    folder: Path
    by: str
    server: str
    token_file: Path | None
    ca_file: Path | None

    @property
    def api(self) -> CityApi:
        """Return the API of the server."""
        return CityApi(server=self.server, token_file=self.token_file, ca_file=self.ca_file)

    def give(
        self,
        alarm_id: str,
        verb: str,
        body: dict[str, Any],
        local: Callable[[Ledger, Signed], Alarm],
    ) -> Done:
        """Give an order: ``body`` to the API, or ``local`` to the ledger."""
        if self.server:
            signed = {"by": self.by} if self.by else self.name()
            told = self.api.order(alarm_id, verb, body | signed | {"command": command_id()})
            return Done(
                alarm_id=told["id"],
                word=told["word"],
                shelved=any(held["hold"] == "shelved" for held in told["held"]),
                acked_by=told["acked_by"],
                told=told,
            )
        from lifeline.ledger.open import open_ledger

        with closing(open_ledger(self.folder)) as ledger:
            alarm = local(ledger, signed_here(ledger, self.by, verb))
        return Done(
            alarm_id=alarm.alarm_id,
            word=str(alarm.word),
            shelved=alarm.shelf is not None,
            acked_by=alarm.acked_by,
            told=asdict(alarm) | {"word": str(alarm.word)},
        )

    def name(self) -> dict[str, str]:
        """Return a name where the city has no accounts: there each order carries one."""
        accounts = self.api.get("/api/me")["accounts"]
        return {} if accounts else {"by": getpass.getuser()}


Signed = dict[str, str]


def signed_here(ledger: Ledger, by: str, verb: str) -> Signed:
    """Return whose order it is. In a city with accounts no name is taken for one of them.

    Raises
    ------
    Rejected
        A name in a city with accounts; or an order there that may need two persons.
    """
    from lifeline.errors import Rejected
    from lifeline.people.accounts import any_account, are_made

    if not (are_made(ledger) and any_account(ledger)):
        return {"by": by or getpass.getuser(), "command": command_id()}
    remedy = "give --server and --token-file: an account orders 请用 --server 与令牌操作"
    if by:
        raise Rejected(f"--by {by!r}: this city has accounts; {remedy}")
    if verb == "shelve":
        raise Rejected(f"shelving is an account's order, red takes two of them; {remedy}")
    return {"by": f"local:{getpass.getuser()}", "command": command_id()}


def command_id() -> str:
    """Return an id for one command."""
    return f"cli-{uuid.uuid4()}"


def tell(done: Done, said: str, *, as_json: bool) -> None:
    """Print what became of an alarm."""
    if as_json:
        print(json.dumps(done.told, ensure_ascii=False, indent=2, default=str))
    else:
        print(f"{done.alarm_id}: {said}; now {done.word}")


def shelve(
    alarm_id: Id,
    *,
    reason: Annotated[str, typer.Option(help="Why it need not call.")],
    for_: Annotated[str, typer.Option("--for", help="How long, such as 30m or 4h.")] = "1h",
    by: By = "",
    folder: Where = Path(),
    as_json: AsJson = False,
    server: Server = "",
    token_file: TokenFile = None,
    ca_file: CaFile = None,
) -> None:
    """Keep an alarm from announcing; red takes a second person who orders the same."""
    try:
        for_ns = parse_duration(for_)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--for") from error
    reach = Reach(folder=folder, by=by, server=server, token_file=token_file, ca_file=ca_file)
    body: dict[str, Any] = {"reason": reason, "minutes": max(1, for_ns // MINUTE_NS)}
    if server:
        if for_ns % MINUTE_NS:
            raise typer.BadParameter("by --server whole minutes", param_hint="--for")
        body["expected_seq"] = reach.api.alarm(alarm_id)["seq"]

    def local(ledger: Ledger, signed: Signed) -> Alarm:
        from lifeline.ledger.people import People

        found = ledger.alarm(alarm_id)
        seq = found[0].seq if found else 0
        return People(ledger).shelve(
            alarm_id, reason=reason, for_ns=for_ns, expected_seq=seq, **signed
        )

    done = reach.give(alarm_id, "shelve", body, local)
    said = f"shelved for {for_}" if done.shelved else "a second person decides"
    tell(done, said, as_json=as_json)


def unshelve(
    alarm_id: Id,
    *,
    by: By = "",
    folder: Where = Path(),
    as_json: AsJson = False,
    server: Server = "",
    token_file: TokenFile = None,
    ca_file: CaFile = None,
) -> None:
    """Take an alarm from its shelf before its time."""
    from lifeline.ledger.people import People

    reach = Reach(folder=folder, by=by, server=server, token_file=token_file, ca_file=ca_file)
    done = reach.give(alarm_id, "unshelve", {}, lambda x, who: People(x).unshelve(alarm_id, **who))
    tell(done, "taken from its shelf", as_json=as_json)


def comment(
    alarm_id: Id,
    text: Annotated[str, typer.Argument(help="What you know about it.")],
    *,
    by: By = "",
    folder: Where = Path(),
    as_json: AsJson = False,
    server: Server = "",
    token_file: TokenFile = None,
    ca_file: CaFile = None,
) -> None:
    """Write a note about an alarm."""
    from lifeline.ledger.people import People

    reach = Reach(folder=folder, by=by, server=server, token_file=token_file, ca_file=ca_file)
    done = reach.give(
        alarm_id,
        "comment",
        {"comment": text},
        lambda x, who: People(x).comment(alarm_id, text=text, **who),
    )
    tell(done, "noted", as_json=as_json)


def assign(
    alarm_id: Id,
    to: Annotated[str, typer.Argument(help="Who looks after it; '' nobody.")],
    *,
    by: By = "",
    folder: Where = Path(),
    as_json: AsJson = False,
    server: Server = "",
    token_file: TokenFile = None,
    ca_file: CaFile = None,
) -> None:
    """Say who looks after an alarm."""
    from lifeline.ledger.people import People

    reach = Reach(folder=folder, by=by, server=server, token_file=token_file, ca_file=ca_file)
    done = reach.give(
        alarm_id, "assign", {"to": to}, lambda x, who: People(x).assign(alarm_id, to=to, **who)
    )
    tell(done, f"with {to}" if to else "with nobody", as_json=as_json)


def classify(
    alarm_id: Id,
    verdict: Annotated[Verdict, typer.Argument(help="Whether it was true.")],
    cause: Annotated[str, typer.Argument(help=f"What caused it: {', '.join(CAUSES)}.")],
    *,
    text: Annotated[str, typer.Option("--comment", help="What was found.")] = "",
    by: By = "",
    folder: Where = Path(),
    as_json: AsJson = False,
    server: Server = "",
    token_file: TokenFile = None,
    ca_file: CaFile = None,
) -> None:
    """Say whether an alarm was true, and what caused it."""
    from lifeline.ledger.people import People

    reach = Reach(folder=folder, by=by, server=server, token_file=token_file, ca_file=ca_file)
    found = {"verdict": verdict.value, "cause": cause, "comment": text}
    done = reach.give(
        alarm_id, "classify", found, lambda x, who: People(x).classify(alarm_id, **found, **who)
    )
    tell(done, f"{verdict.value}, {cause}", as_json=as_json)


def truth(
    out: Annotated[Path, typer.Argument(help="The file, CSV, for back-test and suggest.")],
    *,
    folder: Where = Path(),
    as_json: AsJson = False,
) -> None:
    """Write what operators found true as a truth file."""
    from lifeline.ledger.open import open_ledger
    from lifeline.verdicts import write_truth

    with closing(open_ledger(folder)) as ledger:
        told = write_truth(ledger, out)
    if as_json:
        print(json.dumps(told._asdict()))
    else:
        print(f"{out}: {told.true} true; {told.false} false, {told.open} without a verdict")
