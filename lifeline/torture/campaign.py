"""The campaigns as one: run, told as JSON, and docs/reliability.md."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from lifeline.torture.compare import compare
from lifeline.torture.kills import run_kills
from lifeline.torture.servers import Receiver, StoreServer, scratch

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable
    from pathlib import Path


def kill_campaign(
    *,
    kills: int,
    seed: int,
    keep: Path | None,
    stop: threading.Event,
    told: Callable[[int], None],
) -> dict[str, Any]:
    """Run the kills with a store and a receiver of our own; return the row of figures."""
    with scratch(keep) as folder, StoreServer() as store, Receiver() as receiver:
        left = run_kills(
            folder, kills=kills, seed=seed, store=store, receiver=receiver, stop=stop, told=told
        )
        row = compare(left, store.points(), receiver)
        row["twice"] += store.overwritten
        return row | {"store_repeated": store.again}


def write_json(rows: dict[str, dict[str, Any]], path: Path) -> None:
    """Write the figures."""
    path.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
