"""Official warnings of a test, as the journal has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rules.bulletins import ALERT, CANCEL, UPDATE, Bulletin, key_of
from rules.language.schedules import COLOURS
from rules.problems import listed, nearest
from rules.readings import Control
from rules.standing import StandingWarnings

if TYPE_CHECKING:
    from rules.testing.cases import Case
    from rules.testing.entries import ReadTest
    from rules.testing.models import Said

SENDER: Final = "test"
ISSUER: Final = ("the test's weather bureau", "测试气象台")


def names_of(test: ReadTest) -> list[str]:
    """Return what each warning of a test is called."""
    return [said.id or f"w{number}" for number, said in enumerate(test.warnings, start=1)]


def unknown_references(test: ReadTest) -> None:
    """Note names that stand twice, and warnings that end or replace none."""
    names = names_of(test)
    for i, said in enumerate(test.warnings):
        if names[i] in names[:i]:
            test.problem(("warnings", i), f"the id {names[i]!r} stands twice")
        for key in ("cancels", "replaces"):
            word = getattr(said, key)
            if word is not None and word not in names[:i] + names[i + 1 :]:
                others = listed(names[:i] + names[i + 1 :]) or "there is none"
                unknown = f"{key}: no warning {word!r}{nearest(word, names)}: {others}"
                test.problem(("warnings", i, key), unknown)


def said_of(case: Case) -> list[Control]:
    """Return the Controls of a test's warnings, in the order they are written in."""
    names = names_of(case.test)
    return [
        Control("warning", _bulletin(case, name, said).data() | {"via": "test", "command": name})
        for name, said in zip(names, case.test.warnings, strict=True)
    ]


def known_by(case: Case, at_ns: int) -> StandingWarnings:
    """Return the warnings that had come by a time since the start."""
    known = StandingWarnings(case.registry)
    for said, control in zip(case.test.warnings, said_of(case), strict=True):
        if said.at <= at_ns:
            known.take(control.data, 0)
    return known


def _bulletin(case: Case, name: str, said: Said) -> Bulletin:
    old = said.cancels or said.replaces
    onset_ns = case.start_ns + (said.at if said.onset is None else said.onset)
    return Bulletin(
        identifier=name,
        sender=SENDER,
        sent_ns=case.start_ns + said.at,
        kind=CANCEL if said.cancels else UPDATE if said.replaces else ALERT,
        references=() if old is None else (key_of(SENDER, old),),
        hazard=said.hazard,
        severity=0 if said.level is None else COLOURS.index(said.level) + 1,
        issuer=ISSUER,
        onset_ns=onset_ns,
        expires_ns=onset_ns + said.lasts,
        areas=tuple(said.areas),
    )
