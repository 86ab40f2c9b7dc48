"""The engine: a pure function of the journal, all rules of a kind in one pass."""

from rules.engine.fold import Engine, log_order
from rules.engine.kinds import KINDS

__all__ = ["KINDS", "Engine", "log_order"]
