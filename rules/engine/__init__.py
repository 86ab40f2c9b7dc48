"""The engine: a pure function of the journal, all rules of a kind in one pass."""

from rules.engine.fold import KINDS, Engine, log_order

__all__ = ["KINDS", "Engine", "log_order"]
