"""A pytest fixture for users' own rules and scenarios.

In a ``conftest.py``::

    from lifeline.scenarios.fixture import scenario

and in a test::

    def test_the_leak_is_found(scenario):
        verdict = scenario("my-scenarios.yaml", rules="rules", seed=7)
        assert verdict.passed, verdict.row()
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lifeline.scenarios.draw import drawn
from lifeline.scenarios.files import load_scenarios
from lifeline.scenarios.run import Bench
from rules.language.loader import load_rules
from rules.problems import Invalid, Problem
from simulators.recording import shipped_rules

if TYPE_CHECKING:
    from lifeline.scenarios.judge import Verdict


class Player:
    """Plays one scenario at a time; rules are read and compiled once."""

    def __init__(self) -> None:
        self._benches: dict[Path, Bench] = {}

    def __call__(
        self, wanted: str | Path, *, name: str = "", rules: str | Path | None = None, seed: int = 1
    ) -> Verdict:
        """Return what a scenario came to; ``name`` chooses one of a file of several.

        Raises
        ------
        Invalid
            The scenario or the rules are wrong, or the file holds several and none is named.
        """
        held = [s for s in load_scenarios([str(wanted)]) if name in ("", s.name)]
        if len(held) != 1:
            said = f'{len(held)} scenarios, name="{name}": name one of them'
            raise Invalid([Problem(str(wanted), 0, 0, "", said)])
        folder = Path(rules) if rules is not None else shipped_rules()
        bench = self._benches.get(folder)
        if bench is None:
            bench = self._benches[folder] = Bench(load_rules(folder))
        return bench.play(drawn(held[0], seed))


@pytest.fixture(scope="session")
def scenario() -> Player:
    """Return what plays scenarios against rules."""
    return Player()
