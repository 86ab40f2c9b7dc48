"""The section of docs/reliability.md about the soak."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from lifeline.torture.catalogue import OUTAGES
from lifeline.torture.processes import NAMES
from lifeline.torture.slope import WARM_S
from lifeline.torture.soak import FDS_HOUR, INFLIGHT, RSS_MIB_HOUR, SPARED, untrue

if TYPE_CHECKING:
    from collections.abc import Mapping

SECTION: Final = """## Soaked

Slices at real speed with a random mix of faults, drawn from kills of our processes and all outages
above, which overlap; {spared} processes of a slice, by turns, are never killed, so that each has
long lives too. A run adds a slice to its state folder, and the section sums all of them:

    lifeline soak --minutes 30 --state soak --seed {seed} --markdown docs/reliability.md

The slices here took {each:.0f} minutes each on average. The broker has {inflight}
messages in flight at most.

| | |
|---|--:|
| slices, hours | {slices}, {hours:.2f} |
| kills, outages | {kills}, {outages} |
| never killed in any slice | {never} |
| outages never drawn | {undrawn} |
| readings acknowledged | {acknowledged} |
| **readings, points or events lost** | **{lost}** |
| **events, points or notifications twice or contradictory** | **{twice}** |
| of these: {which} | |
| delivered again, taken for late | {late_again} |
| lines refused, all of them accounted for | {refused} |
| events; each event log equals the fresh fold | {events}; {equal} |
| notifications; **missing** | {notifications}; **{notifications_missing}** |

Memory and descriptors: one slope over all lives of a process, from {warm:.0f} s of age on: at the
soak's load the page's rings are full after ten minutes, what the CoAP port remembers after four.
The 95 % bounds are as wide as neighbouring minutes are alike (their first-order correlation takes
news away), since memory moves in steps. *flat*: surely less than {rss:g} MiB or {fds:g} descriptors
an hour; *grows*: surely more; *open*: not told by these minutes. A process that leaks 20 MiB an
hour evenly, beside caches that fill, is found within half an hour (tests/lifeline/test_soak.py);
one whose memory also moves in steps may stay *open* for longer.

| process | lives | most MiB | MiB an hour | | most descriptors | an hour | |
|---|--:|--:|--:|---|--:|--:|---|
{processes}
{broken}"""
BROKEN: Final = """
**Not held: {said}.**
"""


def section(total: Mapping[str, Any], *, seed: int) -> str:
    """Return it."""
    lines = []
    for name, grown in total["processes"].items():
        memory, files = grown["rss_mib"], grown["fds"]
        lines.append(
            f"| {name} | {grown['lives']} | {memory['most']:.0f} | {_bounds(memory)} "
            f"| {memory['verdict']} | {files['most']:.0f} | {_bounds(files)} | {files['verdict']} |"
        )
    given = dict(total) | {
        "processes": "\n".join(lines),
        "each": total["hours"] * 60 / total["slices"],
        "broken": BROKEN.format(said="; ".join(said)) if (said := untrue(total)) else "",
        "never": ", ".join(n for n in NAMES if f"kill {n}" not in total["faults"]) or "none",
        "undrawn": ", ".join(n for n in OUTAGES if n not in total["faults"]) or "none",
        "which": ", ".join(f"{n} {what}" for what, n in total["what_twice"].items() if n)
        or "nothing",
        "equal": "yes" if total["log_equal"] else "**no**",
    }
    return SECTION.format(
        **given,
        seed=seed,
        inflight=INFLIGHT,
        warm=WARM_S,
        rss=RSS_MIB_HOUR,
        spared=SPARED,
        fds=FDS_HOUR,
    )


def _bounds(grown: Mapping[str, Any]) -> str:
    if grown["per_hour"] is None:
        return "–"
    return f"{grown['per_hour']:+.1f} ({grown['low']:+.1f} … {grown['high']:+.1f})"
