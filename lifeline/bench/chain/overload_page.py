"""docs/overload.md: what happened at three times what one core carries, with the machine."""

from __future__ import annotations

from typing import Any

from lifeline.bench.chain.crowd import CLASSES, PER, WAVE_CHANNELS, WAVE_DEVICES
from lifeline.bench.report import machine, table

PAGE = """# Overload

Measured, not estimated; written by `lifeline bench overload --markdown docs/overload.md`. A
real mosquitto; ingest, engine and store, each a process, **share one core**. {gateways}
gateways send {per} readings a message at QoS 1, stamped as they are sent: {safety} of class
safety, {maintenance} maintenance, {info} info; {waves} devices send waveforms of
{wave_channels} channels. Each message of a safety gateway raises an alarm (rules T1). First it
is measured what that core carries with all of it; then comes {times:g} times as much.

{machine}

One core carried {rate:,} readings/s. *Alarms* are those of safety channels; their time runs
from the stamp in the message to the event being read from the event log, the broker's queue
included. *Step*: 1 waveforms are given up, 2 info too, 3 maintenance too.

{phases}

| | |
|---|--:|
| readings sent | {sent:,} |
| given up: info | {shed_info:,} |
| given up: maintenance | {shed_maintenance:,} |
| given up: safety | {safety_shed:,} |
| samples of waveforms sent | {sent_samples:,} |
| samples given up | {shed_samples:,} |
| neither journaled nor counted by channel in /metrics | {uncounted:,} |
| all taken again after the overload | {recovered_after_s} s |
| most resident memory: {names} | {rss} MB |

## What it does, and why

- **Signs.** The intake's queue stays filled, or the engine falls further and further behind.
  Neither an engine that stands still, nor a backlog that a broker kept, is overload: nothing of
  it is lost.
- **Order.** Waveforms, info, maintenance; safety never, whatever its form. A step each quarter
  of a second while it lasts; a step back after 10 s without a sign.
- **What is given up** is acknowledged and counted by channel (`lifeline_shed_total`). Its
  device still counts as heard. Of devices of which nothing is kept only the keys are read,
  which takes a third of the time, and they are left out of the raw side log.
- **Memory** is bounded by the intake's queue; beyond it the socket is not read, and the broker
  keeps the rest.

## What is not promised

- More than a core can read, even when it keeps only safety channels: then the broker's queue
  grows, and alarms are late by it. More gateways want more ingest workers with topics of their
  own.
- A broker whose own queue is full drops messages, and we never learn of them: give it room
  (`max_queued_messages`).
"""


def markdown(result: dict[str, Any], times: float) -> str:
    """Return the page."""
    rows = [
        {
            "phase": row["phase"],
            "s": f"{row['seconds']:g}",
            "readings/s": f"{row['sent_per_s']:,}",
            "step": str(row["most_shed_step"]),
            "alarms": f"{row['alarms']:,}",
            "p50": f"{row['p50_s']:.2f} s",
            "p99": f"{row['p99_s']:.2f} s",
            "most": f"{row['max_s']:.2f} s",
        }
        for row in result["phases"]
    ]
    return PAGE.format(
        gateways=len(CLASSES),
        per=PER,
        waves=WAVE_DEVICES,
        wave_channels=WAVE_CHANNELS,
        **{name: CLASSES.count(name) for name in ("safety", "maintenance", "info")},
        times=times,
        machine=machine(),
        rate=result["one_core_per_s"],
        phases=table(rows).replace("|--:|", "|---|", 1),
        shed_info=result["shed"]["info"],
        shed_maintenance=result["shed"]["maintenance"],
        names=", ".join(result["rss_mb"]),
        rss=", ".join(str(mb) for mb in result["rss_mb"].values()),
        **{
            name: result[name]
            for name in (
                *("sent", "sent_samples", "shed_samples", "safety_shed", "uncounted"),
                "recovered_after_s",
            )
        },
    )
