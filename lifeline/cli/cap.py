"""``lifeline alarms cap``: an alarm as a CAP 1.2 message, for a platform above."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer


def cap(
    alarm_id: Annotated[str, typer.Argument(help="The id from `lifeline alarms list`.")],
    folder: Annotated[Path, typer.Argument(help="A city's folder or its data folder.")] = Path(),
    *,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write it here instead.")
    ] = None,
) -> None:
    """Write an alarm as a CAP 1.2 message (XML); a simulated one is an Exercise."""
    from lifeline.errors import Missing
    from lifeline.explain.alarm import site_at
    from lifeline.ledger.open import open_ledger
    from lifeline.notify.cap import CapSender, cap_xml
    from lifeline.notify.outlets import cap_sender_of
    from lifeline.settings.config import FILE_NAME, load_config

    config = load_config(folder) if (folder / FILE_NAME).exists() else None
    data = folder / "data" if (folder / "data" / "ledger.sqlite").exists() else folder
    ledger = open_ledger(folder)
    try:
        found = ledger.alarm(alarm_id)
        if found is None:
            raise Missing(f"{alarm_id}: no such alarm; take an id of `lifeline alarms list --all`")
        alarm, simulation = found
        raw = cap_xml(
            alarm,
            ledger.events_of(alarm_id),
            site_at(data, alarm.receive_ns),
            zone=config.entry.site.timezone if config is not None else "Asia/Shanghai",
            simulation=simulation,
            sender=cap_sender_of(config) if config is not None else CapSender(),
            web=config.page_url if config is not None else "",
        )
    finally:
        ledger.close()
    if output is not None:
        output.write_bytes(raw)
    else:
        sys.stdout.buffer.write(raw)
