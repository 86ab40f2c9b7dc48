"""What runs: one module a process, each with ``run(context)``. See ``NAMES`` and ``command``."""

from lifeline.processes.context import NAMES, Context, command

__all__ = ["NAMES", "Context", "command"]
