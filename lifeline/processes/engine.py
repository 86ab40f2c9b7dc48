"""The engine as a process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifeline.engine_process import SNAPSHOT_S, run_engine

if TYPE_CHECKING:
    from lifeline.processes.context import Context


def run(context: Context) -> None:
    """Fold the journal until stopped."""
    every_s = SNAPSHOT_S if context.checkpoint_s is None else context.checkpoint_s
    run_engine(data=context.data, stop=context.stop, snapshot_s=every_s)
