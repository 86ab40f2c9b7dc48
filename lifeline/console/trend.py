"""A channel's trend: the archive's past and the hot buffer's hours as one, with its limits."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import structlog

from ingest.store.errors import StoreError
from lifeline.console.answers import BadInput
from lifeline.console.expected import expected
from lifeline.console.live import SUSPECT_FLAGS, neighbours, now_of, scale
from lifeline.console.times import ms
from lifeline.console.view import finite
from lifeline.hot_buffer import Points, thin
from lifeline.sensor_health import OLD_INTERVALS
from rules.judge import LATE

if TYPE_CHECKING:
    from lifeline.console.desk import Desk
    from lifeline.console.sight import Sight
    from lifeline.site import Limit, Site
    from rules.standing import StandingWarnings

LOG = structlog.get_logger("trend")
MAX_POINTS = 3_000
LONGEST_MS = 400 * 86_400_000
NS = 1_000_000
NEIGHBOUR_POINTS = 300
MEND_POINTS = 2_000_000


def trend_json(
    desk: Desk,
    sight: Sight,
    *,
    channel: str,
    from_ms: int | None,
    to_ms: int | None,
    max_points: int,
) -> dict[str, Any]:
    """Return columns t, value, suspect, late, received and the limits over the same time.

    Raises
    ------
    BadInput
        No such channel, or one that is not seen; or a time range that is none.
    """
    site = desk.keeper.site
    row = site.registry.channel_row.get(channel) if site is not None else None
    if site is None or row is None or not sight.channel(row):
        remedy = "take an id of GET /api/channels"
        raise BadInput("channel", channel, remedy, message=f"there is no channel {channel!r}")
    now_ms = desk.clock.now_ns() // NS
    to = now_ms if to_ms is None else to_ms
    begin = to - 6 * 3_600_000 if from_ms is None else from_ms
    if not begin < to:
        raise BadInput("from", begin, f"give a time before to = {to} (Unix milliseconds)")
    if to - begin > LONGEST_MS:
        raise BadInput("from", begin, f"give at most {LONGEST_MS} ms before to = {to}")
    points, problem = _points(desk, row, begin * NS, to * NS, max_points)
    channels = site.registry.channels
    span = (begin * NS, to * NS)
    known = desk.board.known(site.registry, desk.clock.now_ns())
    return {
        "channel": channel,
        "from_ms": begin,
        "to_ms": to,
        **scale(site, row, to * NS, known),
        "gap_ms": int(OLD_INTERVALS * channels.interval_ns[row]) // NS,
        "t": (points.event_ns // NS).tolist(),
        "received": (points.receive_ns // NS).tolist(),
        "value": [finite(v) for v in points.value.tolist()],
        "suspect": np.isin(points.qc_flag, SUSPECT_FLAGS).tolist(),
        "late": (points.verdict == LATE).tolist(),
        "limits": _limits(desk.keeper.plans or [(0, site)], row, (begin * NS, span[1]), known),
        **expected(desk, row, *span),
        "neighbours": [
            _neighbour(desk, site, *near, span) for near in neighbours(site, row, sight)
        ],
        "now": now_of(desk, row, interval_ns=int(channels.interval_ns[row])),
        "problem": problem,
    }


def _neighbour(
    desk: Desk, site: Site, row: int, away_m: float, span: tuple[int, int]
) -> dict[str, Any]:
    """Return a neighbour's line, thin, of what is in memory: it is there to compare by eye."""
    points = thin(desk.hot.read(row, *span)[0], NEIGHBOUR_POINTS)
    channels, assets = site.registry.channels, site.registry.assets
    asset = int(channels.asset[row])
    return {
        "channel": channels.id[row],
        "asset": assets.id[asset],
        "name": {"en": assets.name[asset], "zh": assets.name_zh[asset] or assets.name[asset]},
        "away_m": round(away_m),
        "now": now_of(desk, row, interval_ns=int(channels.interval_ns[row])),
        "t": (points.event_ns // NS).tolist(),
        "value": [finite(v) for v in points.value.tolist()],
    }


def _points(desk: Desk, row: int, from_ns: int, to_ns: int, max_points: int) -> tuple[Points, str]:
    """Return hot and archived readings as one; an archive that fails leaves the hot ones."""
    hot, since_ns = desk.hot.read(row, from_ns, to_ns)
    mended, problem = _is_mended(desk, row, from_ns, to_ns)
    if since_ns <= from_ns or desk.archive is None:
        return thin(_mended(desk, row, hot) if mended else hot, max_points), problem
    try:
        # Of rows that are corrected all are wanted: the extremes of the old values are none now.
        most = MEND_POINTS if mended else max_points
        old = desk.archive.trend(row, from_ns, min(to_ns + 1, since_ns), most)
    except Exception as error:  # noqa: BLE001 - the page must not go blank with the archive
        LOG.warning("archive did not answer", error=str(error))
        return thin(hot, max_points), f"archive: {error}"[:300]
    names = ("event_ns", "receive_ns", "value", "qc_flag", "verdict")
    joined = {k: np.concatenate([getattr(old, k), getattr(hot, k)]) for k in names}
    points = Points(**joined)
    return thin(_mended(desk, row, points) if mended else points, max_points), problem


def _is_mended(desk: Desk, row: int, from_ns: int, to_ns: int) -> tuple[bool, str]:
    """Say whether corrections concern these points, and what keeps us from telling."""
    try:
        return desk.keeper.corrections.touch(row, from_ns, to_ns), ""
    except (StoreError, OSError) as error:
        LOG.warning("corrections cannot be read", error=str(error))
        return False, f"corrections: {error}"[:300]


def _mended(desk: Desk, row: int, points: Points) -> Points:
    value, qc_flag = desk.keeper.corrections.on_points(
        row, (points.event_ns, points.receive_ns), points.value, points.qc_flag
    )
    return replace(points, value=value, qc_flag=qc_flag)


def _limits(
    plans: list[tuple[int, Site]], row: int, span: tuple[int, int], known: StandingWarnings
) -> list[dict[str, Any]]:
    """Return each level as a step line: [[from when, limit], …], by the plans of that time."""
    steps: dict[tuple[str, int, int], list[list[Any]]] = {}
    newest: dict[tuple[str, int, int], Limit] = {}
    from_ns, to_ns = span
    for number, (at_ns, held) in enumerate(plans):
        if row >= len(held.registry.channels.id):
            continue
        begin, mine = max(at_ns, from_ns), known.on(held.registry)
        end = plans[number + 1][0] if number + 1 < len(plans) else to_ns
        last = max(begin, min(end, to_ns))
        for time_ns in (begin, *held.switches(row, begin, last, mine)):
            for limit in held.limits(row, time_ns, mine):
                key = (limit.rule, limit.side, limit.severity)
                line, newest[key] = steps.setdefault(key, []), limit
                if not line or line[-1][1] != limit.raise_at:
                    line.append([ms(time_ns), limit.raise_at])
    return [
        {
            "rule": limit.rule,
            "side": limit.side,
            "severity": limit.severity,
            "kind": limit.kind,
            "source": limit.source,
            "approved": bool(limit.approved_by),
            "clear_at": finite(limit.clear_at),
            "steps": steps[key],
        }
        for key, limit in newest.items()
    ]
