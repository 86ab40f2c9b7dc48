"""The scenario a user begins with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lifeline.errors import Occupied
from lifeline.scenarios.files import scenarios_of

if TYPE_CHECKING:
    from pathlib import Path

STARTER: Final = """\
# Scenarios: what happens, what must be alarmed, what must not. See docs/detection.md.
# Numbers, durations and beginnings may be ranges [low, high], places patterns: --seeds draws them.
version: 1
scenarios:
- name: my-gas-leak
  title: A leak beside a sensor that is stuck
  title_zh: 邻井探头卡死时的燃气泄漏
  about: what it is after, and what in it is assumed
  city: {profile: demo, part: [gas]}       # demo, bozhou, hefei; parts are domains
  begins: "2026-03-10T08:00:00+08:00"
  warmup: 30m                              # rules learn what is usual
  lasts: 1h                                # at least; played on to the last deadline
  incidents:
  - {id: leak, kind: gas_leak, at: [5m, 30m], place: "*-gas-mh-*", lasts: [1h, 2h],
     options: {leak_m3_h: [0.3, 1.0]}}
  faults:
  - {id: stuck, kind: stuck, place: "*-gas-mh-*/ch4-01*", lasts: 3h}
  expect:                                  # absent: each incident by its own truth
  - {of: leak, rule: "gas-ch4-*", level: orange, by: 45m}
  forbid:                                  # absent: safety alarms that no incident explains
  - {level: blue}
  - {class: maintenance, rule: module-silent, where: anywhere}
"""


def write_starter(path: Path) -> None:
    """Write it; what is there already stays.

    Raises
    ------
    Occupied
        The file exists.
    """
    scenarios_of(path.name, STARTER)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(STARTER)
    except FileExistsError as error:
        raise Occupied(f"{path}: exists already; choose another name") from error
