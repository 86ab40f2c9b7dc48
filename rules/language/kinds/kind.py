"""What a kind is to the rule language: its keys, limits, parameters and words, in one place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from rules.language.resampling import gap_ns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from rules.language.amounts import Span
    from rules.language.limits import Side
    from rules.language.models import Body
    from rules.language.ruleset import Rule, RuleSet
    from rules.language.selection import Selector
    from rules.plan import ChannelRule, Level
    from rules.registry import Registry
    from rules.strict_models import Path

    Found = tuple[Path, str]
    Groups = list[tuple[Any, NDArray[np.intp]]]
    Columns = dict[str, NDArray[Any]]

DEFAULT_MAX_GAP_TIMES = 3.0


@dataclass(frozen=True, slots=True)
class Matched:
    """Channels of one rule that share one body (after overrides) and one quantity."""

    rows: NDArray[np.intp]  # [n] of the registry's channels
    interval_ns: NDArray[np.int64]  # [n]
    quantity: str
    registry: Registry
    among: NDArray[np.intp]  # all channels of this quantity the rule selects, rising
    built: Sequence[ChannelRule] = ()  # rules compiled before
    levels: Sequence[Level] = ()  # of the site

    def each(self, value: float) -> NDArray[np.float64]:
        """Return one number for all of them."""
        return np.full(len(self.rows), value, np.float64)

    def level(self, name: str) -> int | None:
        """Return the column of a level of the site."""
        names = [level.name for level in self.levels]
        return names.index(name) if name in names else None

    def whole(self, value: int) -> NDArray[np.int64]:
        """Return one whole number for all of them."""
        return np.full(len(self.rows), value, np.int64)

    def spans(self, span: Span) -> NDArray[np.int64]:
        """Return a duration in ns, ``3x`` resolved against each channel's interval."""
        return spans_of(span, self.interval_ns)


class Warn(Protocol):
    """Notes a warning about some of a rule's channels."""

    def some(
        self, which: Any, where: tuple[str, ...], said: str, *, unreachable: bool = False
    ) -> None:
        """Warn of the channels chosen by the mask ``which``, if there are any.

        ``unreachable``: no sample can reach the level there; a check of the files refuses it.
        """
        ...


class Work(Protocol):
    """What a kind that compiles itself may use and add to: the compiler's state."""

    rules: RuleSet
    registry: Registry
    selector: Selector
    problems: list[Any]
    channel_rules: list[Any]
    deadman_rules: list[Any]
    composite_rules: list[Any]
    input_rules: list[Any]
    judged: NDArray[np.bool_]  # [channels] some rule judges it

    @property
    def levels(self) -> Sequence[Level]:
        """Return the levels of the site, by severity rising."""
        ...

    def subject(self, name: str) -> int:
        """Return the number of what an alarm may be about beside channels, such as an asset."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind. What stands behind ``…_of`` is called with the validated body first."""

    name: str
    model: type[Body]
    message: tuple[str, str]  # default templates, English and Chinese
    levels_of: Callable[[Any], dict[str, dict[str, Any]]]
    """Level maps that say which levels the rule has, by key."""
    sides_of: Callable[[Any, str, Sequence[Level]], list[Side]] | None = None
    """Limits for channels of a quantity; raises UnknownUnit."""
    own_of: Callable[[Any, Side, Matched], Columns] | None = None
    """The kind's parameters, each [n] or [n, k]; what ``Side.own`` holds is added by itself."""
    options_of: Callable[[Any], dict[str, Any]] | None = None
    calendar_of: Callable[[Any], tuple[int, ...]] | None = None
    """Days that are holidays, in days since 1970, rising."""
    check: Callable[[Any, Sequence[Level]], Iterable[Found]] | None = None
    """Errors that the text alone shows."""
    warn: Callable[[Warn, ChannelRule, Registry, Sequence[Level]], None] | None = None
    """Warnings that need the registry."""
    least_gap_of: Callable[[Any], int] | None = None
    """For kinds that make rows of their own, the shortest max_gap, ns, that lets a run go on."""
    settable: tuple[str, ...] = ()  # keys an override may set, besides those of every kind
    devices: bool = False  # selects devices, not channels
    compile: Callable[[Work, Rule, Any, Groups], None] | None = None
    """For kinds that are no scores of channels: adds its arrays to the work by itself."""
    limit_rule: Callable[[Any], str] | None = None
    """The threshold rule its limits come from, "" for none: compiled after those."""
    follows: bool = False  # from what other rules decide: compiled after them

    @property
    def after(self) -> int:
        """When it is compiled: 0 first, 1 when limits are known, 2 when all channels' rules are."""
        return 2 if self.follows else int(self.limit_rule is not None)


def spans_of(
    span: Span | None, interval: NDArray[np.int64], times: float = 1.0
) -> NDArray[np.int64]:
    """Return a duration in ns a row, ``3x`` resolved; without a span so many intervals."""
    if span is not None and span.times is None:
        return np.full(len(interval), span.duration_ns, np.int64)
    count = times if span is None or span.times is None else span.times
    return np.round(interval * count).astype(np.int64)


def no_hysteresis(body: Any, _levels: Sequence[Level]) -> Iterable[Found]:
    """Refuse a hysteresis where limits are times."""
    if body.hysteresis is not None:
        said = "hysteresis is not for limits that are times: use keep_firing_for"
        yield ("hysteresis",), said


def warn_of_span(
    warn: Warn,
    built: ChannelRule,
    registry: Registry,
    levels: Sequence[Level],
    *,
    most: NDArray[np.float64] | float = 1.0,
) -> None:
    """Warn of limits of a difference that no two values within the sensor's range have.

    ``most`` is the greatest score a difference of the whole range gives, over that range, [n].
    """
    channels = registry.channels
    span = (channels.range_hi[built.channel] - channels.range_lo[built.channel]) * most
    key = "above" if built.side > 0 else "below"
    for i, level in enumerate(levels):
        said = f"limit {level.name} is more than the sensor's whole range gives: it never fires"
        beyond = np.abs(built.raise_at[:, i]) > span
        warn.some(beyond, (key, level.name), said, unreachable=True)


def slot_columns(
    side: Side,
    channel: NDArray[np.int32],
    interval_ns: NDArray[np.int64],
    body: Any,
    levels: Sequence[Level],
) -> Columns:
    """Return the columns every kind has, of slots that share one body, [n] or [n, L]."""
    n = len(channel)
    scale = interval_ns[:, None] / 1e9 if side.intervals else np.ones((n, 1))
    holds = [body.hold.of(lv.name, None) if body.hold else None for lv in levels]
    keeps = [body.keep_firing_for.of(lv.name, 0) if body.keep_firing_for else 0 for lv in levels]
    return {
        "channel": channel,
        "raise_at": side.raise_at * scale,
        "clear_at": side.clear_at * scale,
        "hold_ns": np.tile(np.array([h.hold_ns if h else 0 for h in holds], np.int64), (n, 1)),
        "hold_samples": np.tile(np.array([h.samples if h else 0 for h in holds], np.int32), (n, 1)),
        "keep_ns": np.tile(np.array(keeps, np.int64), (n, 1)),
        "max_gap_ns": np.maximum(
            spans_of(body.max_gap, interval_ns, DEFAULT_MAX_GAP_TIMES), gap_ns(body)
        ),
    }


def limit_levels(body: Any) -> dict[str, dict[str, Any]]:
    """Return the level maps of kinds with ``above`` and ``below``."""
    sides = (("above", body.above), ("below", body.below))
    return {key: dict(held) for key, held in sides if held is not None}
