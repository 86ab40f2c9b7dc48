"""From an older layout to this one: the same steps as a setup, once a person has agreed.

Points stay where and as they are. A setup on an older layout would do the same unasked, so it
refuses; a migration on a server without ours has nothing to start from, so it refuses too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lifeline.errors import Failure
from lifeline.influx.layout import SCHEMA, mark_of, quoted

if TYPE_CHECKING:
    from lifeline.influx.layout import Layout
    from lifeline.influx.server import Server

UNMARKED: Final = 1  # the layout that had no mark: one bucket, made by hand


def layout_version(server: Server, layout: Layout) -> int | None:
    """Return the version a server's layout has, None where there is nothing of ours yet."""
    bucket = server.bucket(layout.main.name) if server.org_id() is not None else None
    if bucket is None:
        return None
    mark = mark_of(bucket.description)
    if mark is None and _holds_points(server, bucket.name):
        return UNMARKED
    return mark


def _holds_points(server: Server, bucket: str) -> bool:
    text = f'import "influxdata/influxdb/schema"\nschema.measurements(bucket: {quoted(bucket)}, '
    return bool(server.flux(text + "start: time(v: 0))"))


def may_set_up(version: int | None, layout: Layout) -> None:
    """Let a setup go on where there is nothing yet, or this version.

    Raises
    ------
    Failure
        There is an older or a newer layout; with what to do instead.
    """
    if version is None or version == SCHEMA:
        return
    _refuse_newer(version, layout)
    raise Failure(
        f"bucket {layout.main.name} holds points of an older layout (schema {version}, this is "
        f"{SCHEMA}): see what would change by `lifeline influx migrate --dry-run`, then leave "
        "--dry-run away"
    )


def may_migrate(version: int | None, layout: Layout) -> None:
    """Let a migration go on where there is an older layout, or this one (then nothing changes).

    Raises
    ------
    Failure
        There is nothing of ours, or a newer layout; with what to do instead.
    """
    if version is None:
        raise Failure(
            f"bucket {layout.main.name} is not there or empty: there is nothing to migrate; "
            "`lifeline influx setup` makes everything"
        )
    _refuse_newer(version, layout)


def _refuse_newer(version: int, layout: Layout) -> None:
    if version > SCHEMA:
        raise Failure(
            f"bucket {layout.main.name} is marked schema {version}, this program knows {SCHEMA}: "
            "update City Lifeline, nothing was changed"
        )
