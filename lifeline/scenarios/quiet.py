"""Quiet days of a city: nothing happens but the faults every city has; who is called for what."""

from __future__ import annotations

from typing import Final

from lifeline.scenarios.files import Scenario, scenarios_of

TEXT: Final = """\
version: 1
scenarios:
- name: quiet-{profile}
  title: Quiet days with usual links and faults
  title_zh: 平静日（常见链路与设备故障）
  city: {{profile: {profile}, seed: {seed}, usual_faults: true}}
  begins: "2026-03-10T00:00:00+08:00"
  warmup: 1d
  lasts: {days}d
"""


def quiet_scenario(profile: str, *, seed: int, days: int) -> Scenario:
    """Return the scenario of some quiet days.

    Raises
    ------
    rules.problems.Invalid
        There is no such profile.
    """
    text = TEXT.format(profile=profile, seed=seed, days=days)
    return scenarios_of("quiet days", text)[0]
