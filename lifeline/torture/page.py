"""docs/reliability.md: what was done to the program, what it lost, and what is not promised."""

from __future__ import annotations

import os
import platform
from typing import TYPE_CHECKING, Any

from ingest.crash_points import POINTS

if TYPE_CHECKING:
    from collections.abc import Mapping

HEAD = """# Reliability

What was done to it, and what it lost. Written by one command, which runs everything anew:

    {command}

{machine}. The seed draws who is killed where, what fails and
what is sent; at which moments the machine does things is its own.

"""

KILLS = """## Killed

Two gateways publish at QoS 1 through a real mosquitto, two NB-IoT modules post confirmable CoAP;
ingest, engine, serve, archive and store are all killed by SIGKILL again and again, at once, at
named points of the write path and at any other moment, their starts included. A reading counts as
acknowledged when its sender was told so: PUBACK or 2.04. Then it is compared with the journal and
the store; the event log with a fresh fold of that journal; the ledger with a fresh ledger of that
log; what the webhook's receiver got with what that ledger would send.

| | |
|---|--:|
| kills | {kills} |
| of these at named points | {at_points} |
| readings acknowledged (MQTT {mqtt}, CoAP {coap}) | {acknowledged} |
| of these in the journal | {journaled} |
| of these in the store | {stored} |
| **readings, points or events lost** | **{lost}** |
| **events, points or notifications twice or contradictory** | **{twice}** |
| of these: {what_twice} | |
| events; the event log equals the fresh fold | {events}; {log_equal} |
| notifications; **missing** | {notifications}; **{notifications_missing}** |
| notifications sent again, under the same id | {notifications_repeated} |
| points written again to the store, the same | {store_repeated} |
| errors in the processes' logs | {errors_logged} |
| seed, seconds | {seed}, {wall_s} |

| point | what is true there | killed there |
|---|---|--:|
{points}
| any other moment | | {random} |

"""

POWER = """## Without power, and on a bad disk

The real writer, engine, event log, snapshots and cursors work on a disk that fails as told. When
the power goes, each sector not synced is old or new, whatever the order of writing; a file's size
is any it had since; a name is the old or the new one. Writes are short; calls fail with EIO and
ENOSPC. After a failed sync a part of the data is on the disk, and a second sync does not bring the
rest: the program must stop acknowledging, say so, and write again after its restart.

| | |
|---|--:|
| losses of power | {power_cuts} |
| lives of the program | {lives} |
| records acknowledged | {acknowledged} |
| events | {events} |
| **promises broken** | **{broken_count}** |
| seed, seconds | {seed}, {wall_s} |

| what failed | times |
|---|--:|
{faults}

"""

FLIPS = """## Flipped bits

One bit at a time in the bytes of every file, evenly spread. Found = told with file, byte and
missing records, or the file refused by name; all else is read as it was, and in place of a snapshot
the older one is used.

| file | bytes | bits flipped | found | records lost, most by one bit |
|---|--:|--:|--:|--:|
{files}

**Missed: {missed}.** Seed {seed}, {wall_s} seconds.

"""

NOT = """## What is not promised

- **The machine's disk.** What is acknowledged is on one disk. It dies with that disk until a
  standby exists; until then put the data folder on mirrored disks, and back it up.
- **A disk that lies.** fdatasync is believed. A disk that answers before the data are safe (a
  write cache without a battery, some virtual disks) loses what was acknowledged with the power.
- **The broker's own disk.** PUBACK to a gateway is mosquitto's word. It keeps its queue in memory
  and saves it now and then: a gateway's message that mosquitto acknowledged and lost before ingest
  had it is lost. mosquitto is not killed here. QoS 0 is not promised at all.
- **Flipped bits in the ledger, the archive and InfluxDB.** SQLite and Parquet do not check every
  byte they read. The ledger is a projection of the event log, the archive of the journal.
- **SQLite under loss of power.** The ledger is opened with `synchronous = FULL` and a write-ahead
  log, and relies on SQLite there; the disk of this campaign does not reach into it. Kills at and
  between its commits are above.
- **A message that comes again after more than 448 others of its device.** Repeats are told by
  sequence at least that far back (docs/semantics.md, section 2). A broker that may have more in
  flight to us (deploy/mosquitto says `max_inflight_messages 400`) and sends them all again, because
  ingest was killed after its fsync and before its acknowledgements, has those further back judged
  late: a second point in the store under `late=1`, perhaps a late finding. Nothing is lost. The
  same holds for repeats of a boot before the last one, and of devices that number nothing: of
  those the last 8 messages are known by their bytes.
- **A second notification.** They come at least once, under one id: a receiver drops an id that it
  has seen. A receiver that refuses a message for good (400, 410, 413, 422) is not asked again.
- **The raw side log and `series/`.** They may lose the newest second; `series/` is made again from
  the journal.
"""


def page(rows: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the page of the figures of all campaigns."""
    kills, power, flips = (dict(rows[name]) for name in ("kills", "power_cuts", "flips"))
    command = (
        f"lifeline torture --kills {kills['asked']} --power-cuts {power['asked']} "
        f"--flips {flips['asked']} \\\n      --seed {kills['seed']} --markdown docs/reliability.md"
    )
    machine = f"{os.cpu_count()} cores, Linux {platform.release()}, Python "
    kills |= {name: kills[name]["acknowledged"] for name in ("mqtt", "coap")}
    kills["log_equal"] = "yes" if kills["log_equal"] else "**no**"
    kills["what_twice"] = "; ".join(f"{what} {n}" for what, n in kills["what_twice"].items() if n)
    kills["what_twice"] = kills["what_twice"] or "nothing"
    kills["points"], kills["random"] = _points(kills["points"])
    power["faults"] = "\n".join(f"| {what} | {n} |" for what, n in power["faults"].items())
    power["broken_count"] = sum(power["broken"].values())
    flips["files"] = "\n".join(
        f"| {kind} | {each['bytes']} | {each['flips']} | {each['found']} "
        f"| {each['records_lost']}, {each['most_lost']} |"
        for kind, each in flips["files"].items()
    )
    head = HEAD.format(command=command, machine=machine + platform.python_version())
    return head + KILLS.format(**kills) + POWER.format(**power) + FLIPS.format(**flips) + NOT


def _points(hits: Mapping[str, int]) -> tuple[str, int]:
    """Return the table's lines by point, processes named, and the kills at no point."""
    lines = []
    for point, truth in POINTS.items():
        by_process = {k.split("/")[0]: n for k, n in hits.items() if k.endswith(f"/{point}")}
        told = ", ".join(f"{name} {n}" for name, n in by_process.items()) or "0"
        lines.append(f"| {point} | {truth} | {told} |")
    return "\n".join(lines), sum(n for k, n in hits.items() if k.endswith("/random"))
