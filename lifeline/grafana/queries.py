"""The InfluxQL the dashboards ask, as docs/influxdb.md lays out what is there.

Each takes only what Grafana fills in: ``$timeFilter``, ``$__interval`` and the variables, these
always within an anchored regular expression, as their values hold ``/`` and may be many.
A count of nothing is no row in InfluxQL; so levels are counted by sums of 0 and 1, which
polynomials of the severity make, and every asset whose state is known adds 0: a quiet city shows
zeros, and one that nobody watches shows "no data".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ingest.store.schema import GROUPS, MEASUREMENT, OTHER

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rules.plan import Level

READINGS: Final = ", ".join(f'"{name}"' for name in (*GROUPS, OTHER))
SOUND: Final = "\"late\" = '' AND \"faulty\" = ''"
"""Readings that came in their order and are measurements: a fault code must not bend a line."""
ALARM: Final = '"rule", "channel", "side", "asset", "district", "domain"'
_IS: Final = {  # 1 at this severity of 0 … 4, 0 at the others
    1: '"s" * ("s" - 2) * ("s" - 3) * ("s" - 4) / -6',
    2: '"s" * ("s" - 1) * ("s" - 3) * ("s" - 4) / 4',
    3: '"s" * ("s" - 1) * ("s" - 2) * ("s" - 4) / -6',
    4: '"s" * ("s" - 1) * ("s" - 2) * ("s" - 3) / 24',
}


def where(*conditions: str, of: Iterable[str] = ()) -> str:
    """Return WHERE with the time and, for each variable in ``of``, its tag's condition."""
    tags = {"lifeline": "domain"}
    chosen = [f'"{tags.get(name, name)}" =~ /^${name}$/' for name in of]
    return " AND ".join(["WHERE $timeFilter", *filter(None, conditions), *chosen])


def tag_values(tag: str, *, source: str, of: Sequence[str] = ()) -> str:
    """Return the query of a variable: the values of a tag where the earlier ones are chosen."""
    tags = {"lifeline": "domain"}
    chosen = " AND ".join(f'"{tags.get(name, name)}" =~ /^${name}$/' for name in of)
    condition = f" WHERE {chosen}" if chosen else ""
    return f'SHOW TAG VALUES FROM {source} WITH KEY = "{tag}"{condition}'


def trend(quantity: str, condition: str, *, of: Iterable[str], value: str = 'mean("value")') -> str:
    """Return one series a channel of a quantity's readings, late and faulty ones left out."""
    conditions = (f"\"quantity\" = '{quantity}'", SOUND, condition)
    return (
        f'SELECT {value} FROM "{MEASUREMENT.get(quantity, OTHER)}" {where(*conditions, of=of)}'
        ' GROUP BY time($__interval), "channel" fill(none)'
    )


def rate_per_minute(quantity: str, condition: str, *, of: Iterable[str]) -> str:
    """Return the change a minute, in the quantity's unit."""
    return trend(quantity, condition, of=of, value='derivative(mean("value"), 1m)')


def counts(levels: Sequence[Level], condition: str, *, of: Sequence[str], by: str = "") -> str:
    """Return how many alarms are open now, a column a level; ``by`` a tag, so many rows each.

    What is open and what is watched come as rows of their own, which the panel adds up: InfluxQL
    keeps the measurements of a union apart.
    """
    indicators = ", ".join(f'{_IS[level.severity]} AS "{level.name}"' for level in levels)
    sums = ", ".join(f'sum("{level.name}") AS "{level.name}"' for level in levels)
    last = (
        f'SELECT last("severity") AS "s" FROM "alarm_state" {where(condition, of=of)}'
        f" GROUP BY {ALARM}"
    )
    nothing = ", ".join(f'0 * last("open") AS "{level.name}"' for level in levels)
    watched = (
        f'SELECT {nothing} FROM "asset_state"'
        f" {where(condition, of=[name for name in of if name != 'channel'])}"
        ' GROUP BY "asset", "domain"'
    )
    grouped = f' GROUP BY "{by}"' if by else ""
    return f"SELECT {sums} FROM (SELECT {indicators} FROM ({last})), ({watched}){grouped}"


def open_alarms(condition: str, *, of: Iterable[str]) -> str:
    """Return the alarms that are open now, one row each; ``since`` in ms."""
    fields = ("severity", "alarm", "text", "text_zh", "onset_ns")
    last = ", ".join(f'last("{name}") AS "{name}"' for name in fields)
    return (
        'SELECT "severity", "domain", "asset", "channel", "rule", "text", "text_zh",'
        ' "onset_ns" / 1000000 AS "since", "alarm" FROM'
        f' (SELECT {last} FROM "alarm_state" {where(condition, of=of)} GROUP BY {ALARM})'
        ' WHERE "severity" > 0'
    )


def history(condition: str, *, of: Iterable[str], limit: int = 200) -> str:
    """Return the newest events of the event log, one row each."""
    return (
        'SELECT "type", "severity", "channel", "rule", "value", "limit", "text", "text_zh", "alarm"'
        f' FROM "alarm_state" {where(condition, of=of)} ORDER BY time DESC LIMIT {limit}'
    )


def marks(condition: str = "", *, of: Iterable[str]) -> str:
    """Return what is marked on charts: alarms as they are raised, with their sentence."""
    raised = '"type" =~ /^(RAISED|ESCALATED|LATE_FINDING)$/'
    return f'SELECT "text", "level" FROM "alarm_state" {where(raised, condition, of=of)}'


def assets(condition: str, *, of: Iterable[str]) -> str:
    """Return the state of each asset now, one row each, with its place."""
    fields = ("severity", "open", "unacked", "exposed", "name", "name_zh", "lat", "lon")
    last = ", ".join(f'last("{name}") AS "{name}"' for name in fields)
    shown = ", ".join(f'"{name}"' for name in ("asset", "domain", "district", *fields))
    return (
        f'SELECT {shown} FROM (SELECT {last} FROM "asset_state" {where(condition, of=of)}'
        ' GROUP BY "asset", "domain", "district")'
    )


def total(field: str, *, of: Iterable[str]) -> str:
    """Return a field of asset_state, summed over the assets as they are now."""
    return (
        f'SELECT sum("{field}") AS "{field}" FROM (SELECT last("{field}") AS "{field}"'
        f' FROM "asset_state" {where(of=of)} GROUP BY "asset")'
    )


def newest(columns: Sequence[str], *, of: Iterable[str]) -> str:
    """Return the newest reading of each channel, one row each, and when it was taken."""
    shown = ", ".join(f'"{name}"' for name in columns)
    on_time = "\"late\" = ''"
    return (
        f'SELECT {shown} FROM (SELECT last("value") AS "value", "quality" FROM {READINGS}'
        f' {where(on_time, of=of)} GROUP BY "channel", "asset", "domain", "quantity")'
    )


def limits_now(column: str, side: str, *, of: Iterable[str]) -> str:
    """Return one limit of each channel on one side, in the channel's unit, one row each."""
    conditions = (f"\"side\" = '{side}'", "\"of\" = 'value'")
    return (
        f'SELECT "limit", "channel" FROM (SELECT last("{column}") AS "limit" FROM "limits"'
        f' {where(*conditions, of=of)} GROUP BY "channel")'
    )


def limit_lines(
    levels: Sequence[Level], what: str, condition: str = "", *, of: Iterable[str]
) -> str:
    """Return the limits over time, a series a level, rule, side and channel.

    ``what`` is ``value`` or ``score``: what they are compared with.
    """
    last = ", ".join(f'last("{level.name}") AS "{level.name}"' for level in levels)
    asked = where(f"\"of\" = '{what}'", condition, of=of)
    return (
        f'SELECT {last} FROM "limits" {asked}'
        ' GROUP BY time($__interval), "rule", "side", "channel" fill(previous)'
    )


def limit_table(levels: Sequence[Level], *, of: Iterable[str]) -> str:
    """Return every limit in force with its source and who approved it, one row each."""
    fields = (*(level.name for level in levels), "source", "approved_by")
    last = ", ".join(f'last("{name}") AS "{name}"' for name in fields)
    shown = ", ".join(f'"{name}"' for name in ("channel", "rule", "side", "of", *fields))
    return (
        f'SELECT {shown} FROM (SELECT {last} FROM "limits" {where(of=of)}'
        ' GROUP BY "rule", "side", "channel", "of")'
    )


def unapproved(*, of: Iterable[str]) -> str:
    """Return how many limits nobody has approved for this site."""
    return (
        'SELECT count("approved_by") AS "default" FROM (SELECT last("approved_by") AS "approved_by"'
        f' FROM "limits" {where(of=of)} GROUP BY "rule", "side", "channel")'
        " WHERE \"approved_by\" = ''"
    )


def score(field: str, condition: str, *, of: Iterable[str], source: str = "score") -> str:
    """Return a field of what a statistical rule made of readings, a series a rule and channel."""
    return (
        f'SELECT mean("{field}") FROM "{source}" {where(condition, of=of)}'
        ' GROUP BY time($__interval), "rule", "channel" fill(none)'
    )


def pipeline(field: str, *, by: str = '"part"', part: str = "", value: str = "sum") -> str:
    """Return a field of how the store gets on."""
    condition = f"\"part\" = '{part}'" if part else ""
    return (
        f'SELECT {value}("{field}") FROM "pipeline" {where(condition)}'
        f" GROUP BY time($__interval), {by} fill(none)"
    )


def kpi(field: str, *, value: str = "sum", of: Iterable[str] = ()) -> str:
    """Return a field of the alarm figures, a series a lifeline and one of the whole city."""
    return (
        f'SELECT {value}("{field}") FROM "kpi" {where(of=of)}'
        ' GROUP BY time($__interval), "domain" fill(none)'
    )
