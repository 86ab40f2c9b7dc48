"""The section of docs/reliability.md about outages."""

from __future__ import annotations

import os
import platform
from typing import TYPE_CHECKING, Any, Final

from lifeline.torture.catalogue import OUTAGES
from lifeline.torture.outages import late

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SECTION: Final = """## Outages

What our program stands among fails, one thing after the other, each in a city of its own with real
traffic through a real mosquitto (two gateways, two NB-IoT modules, {rate:.0f} readings a second),
for {seconds:g} s; the seed draws the order and what flaps. Written by one command:

    lifeline outages --seconds {seconds:g} --seed {seed} --markdown docs/reliability.md

{machine}, load average {load:.1f} at its end. InfluxDB
is a server of the campaign's here that answers as 2.x does, the read-only ledger SQLite's own
`query_only`, and the clock that of our processes alone. *Delay* is from the sensor's time to the
event log, p99 over the alarms from the beginning of the outage on; where the way itself was cut, a
reading waited at its gateway for as long. *Lost* counts acknowledged readings that are not in the
journal or not in the store, judged rows that are no point, and events the ledger lacks; *twice*
events, points and notifications too many. *Back-fill* is the seconds missed by the seconds it took
to write them; *live lag* how old the newest stored reading was meanwhile, from a second after the
server took something again.

| outage | alarms | delay p99, s | acknowledged | lost | twice | refused | {notified} | {told} |
|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|
{lines}
{broken}
*Refused* lines of a 400 stand in `quarantine/store/` with the server's reason, those a 422 dropped
are counted (which they were, the campaign's server says) and stand in the archive. A dash under
*told by*: no metric was asked. After each outage the event log equalled a fresh fold of the
journal: {equal}. `lifeline doctor` names the readers that are behind, and since when.

What happens in each, and what is not promised:

{words}
- While the ledger is read-only, acknowledgements and the steps of an escalation wait;
  notifications of alarms do not. Where it cannot even be read, notifications wait for it, and the
  page says so.
- While our clock is more than five minutes off, a receiver that checks the time in the signature
  refuses our notifications ({unsigned} times here); they go out when the clock is right. A clock
  set ahead is one "blind from … to …": a stop of ours and a jump look alike.
- mosquitto is stopped by SIGTERM and has its persistence. See below for what its own death loses.
"""
NOTIFIED: Final = "notifications, missing"
TOLD: Final = "back-fill, × | live lag, s | told by, since the outage began"


BROKEN: Final = """
**These rows do not hold what is promised about time** (10 × real time, live lag under 10 s, alarms
within 5 s of when they can come):

{rows}
"""


def section(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return it."""
    machine = f"{os.cpu_count()} cores, Linux {platform.release()}, Python "
    ordered = sorted(rows, key=lambda row: list(OUTAGES).index(row["outage"]))
    said = [f"- `{r['outage']}`: {s}" for r in ordered for s in late(r, OUTAGES[r["outage"]])]
    broken = BROKEN.format(rows="\n".join(said)) if said else ""
    return SECTION.format(
        broken=broken,
        rate=sum(r["acknowledged"] for r in rows) / sum(r["sent_s"] for r in rows),
        seconds=round(rows[0]["asked_s"], 1),
        seed=rows[0]["seed"],
        notified=NOTIFIED,
        told=TOLD,
        load=rows[-1]["load"],
        machine=machine + platform.python_version(),
        lines="\n".join(_line(row) for row in ordered),
        equal="yes" if all(row["log_equal"] for row in rows) else "**no**",
        words="\n".join(f"- `{r['outage']}`: {OUTAGES[r['outage']].what}." for r in ordered),
        unsigned=sum(row["signatures_refused"] for row in rows),
    )


def _line(row: Mapping[str, Any]) -> str:
    told = row["told"]
    since = told.get("metric", "–").removeprefix("lifeline_")
    if "since_off_s" in told:
        since += f", {told['since_off_s']:+g} s"
    notified = f"{row['notifications']}, {row['notifications_missing']}"
    cells = (
        row["outage"], row["alarms"], _number(row["alarm_delay_p99_s"]), row["acknowledged"],
        row["lost"], row["twice"], row["refused"], notified, _number(row["backfill_x"], 0),
        _number(row["live_lag_s"], 1), since,
    )  # fmt: skip
    return "| " + " | ".join(map(str, cells)) + " |"


def _number(number: float | None, digits: int = 2) -> str:
    return "–" if number is None else f"{number:.{digits}f}"
