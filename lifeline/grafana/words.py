"""Words of the dashboards: every title in English and Chinese, levels with colour and shape."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lifeline.console.sentences import LEVEL_WORDS, domain_words
from rules.quantities import QUANTITIES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rules.plan import ChannelRule

LIFELINES: Final = ("gas", "bridge", "tunnel", "water", "drain", "heat", "gallery")
SHAPES: Final = ("·", "○", "△", "◇", "■")
SOURCES: Final = {"clause": "条款", "vendor": "厂家", "estimate": "估计"}
QUALITIES: Final = {
    1: "good · 正常", 2: "not evaluated · 未评价", 3: "suspect · 可疑", 4: "fail · 故障",
}  # fmt: skip


def both(english: str, chinese: str) -> str:
    """Return a text in both languages."""
    return f"{english} · {chinese}"


def lifeline_word(domain: str) -> str:
    """Return what a lifeline is called."""
    return both(*domain_words()[domain])


def quantity_word(quantity: str) -> str:
    """Return what a quantity is called."""
    what = QUANTITIES[quantity]
    return both(what.label, what.label_zh)


def severity_word(severity: int) -> str:
    """Return ``■ red · 红``; colour is never alone."""
    if severity == 0:
        return both("none", "无")
    return f"{SHAPES[severity]} {both(LEVEL_WORDS['en'][severity], LEVEL_WORDS['zh'][severity])}"


def where_from(rules: Iterable[ChannelRule]) -> str:
    """Return where limits come from and whether this site approved them, for a title."""
    held = list(rules)
    if not held:
        return ""
    words = sorted({rule.source for rule in held})
    english = f"limits: {', '.join(words)}"
    chinese = f"限值：{'、'.join(SOURCES[word] for word in words)}"
    if not all(rule.approved_by for rule in held):
        english += "; default limits, not approved"
        chinese += "；默认限值，未经批准"
    return f"{english} · {chinese}"
