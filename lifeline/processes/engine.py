"""The engine as a process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifeline.engine_process import run_engine

if TYPE_CHECKING:
    from lifeline.processes.context import Context


def run(context: Context) -> None:
    """Fold the journal until stopped."""
    run_engine(data=context.data, stop=context.stop)
