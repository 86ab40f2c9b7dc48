"""The quality stage: QARTOD flags on rows, before any rule judges them. docs/kinds/quality.md."""

from rules.engine.quality.stage import CHECKS, Quality

QUALITY_KINDS = tuple(check.kind for check in CHECKS)

__all__ = ["QUALITY_KINDS", "Quality"]
