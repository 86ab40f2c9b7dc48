"""Examine a server with the store's own token: it must hold what the store writes, all of it.

Servers that lack a part of InfluxDB 2.x's API are told so in a note, and the rest is examined.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from lifeline.doctor import Finding
from lifeline.errors import Unreachable
from lifeline.influx.layout import POLICY, SCHEMA, mark_of, wanted_layout
from lifeline.influx.points import examine_points, round_trip
from lifeline.influx.server import Refusal, Server
from lifeline.influx.setup import kept

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lifeline.influx.layout import Layout, WantedBucket, WantedTask
    from lifeline.influx.server import Bucket
    from lifeline.settings.config import CityConfig

SETUP: Final = "lifeline influx setup makes it"
_S: Final = 10**9


@dataclass(frozen=True, slots=True)
class Report:
    """All findings; ``could_tell`` is False where the server gave no answer to go by."""

    findings: list[Finding]
    could_tell: bool = True

    @property
    def exit_code(self) -> int:
        """Return 0 where all is well, 1 with findings, 2 where that cannot be told."""
        if not self.could_tell:
            return 2
        return int(any(f.state == "trouble" for f in self.findings))


def check(config: CityConfig, *, token: str, admin_token: str = "") -> Report:
    """Return what is in order and what is not; one point of ``lifeline_check`` is written.

    ``admin_token`` is for servers whose store token may not read.
    """
    store = Server.of(config, token)
    admin = Server.of(config, admin_token) if admin_token else store
    found: list[Finding] = []
    try:
        found += _examine(config, store, admin)
    except (Unreachable, Refusal) as error:
        found.append(Finding("trouble", "server", str(error)))
        return Report(found, could_tell=False)
    finally:
        store.close()
        admin.close()
    return Report(found)


def _examine(config: CityConfig, store: Server, admin: Server) -> Iterator[Finding]:
    entry = config.entry.influx
    if entry is None:
        raise ValueError("no [influx] table")
    layout = wanted_layout(entry)
    version = store.version()
    yield Finding("ok", "server", f"{store.url} answers, {version or 'version unknown'}")
    token = list(_token(store, layout, entry.token_file))
    yield from token
    if token[0].state == "trouble":
        return
    if admin.has_buckets():
        yield from _administration(config, admin, layout)
    else:
        said = f"{version or 'this server'} has no /api/v2/buckets as InfluxDB 2.x has: retention, "
        yield Finding("note", "buckets", said + "mappings and tasks cannot be checked here")
    if not version:
        said = "this server has no InfluxQL: whether points can be read back, field types and "
        yield Finding("note", "points", said + "the number of series cannot be checked here")
        store.write(layout.main.name, f"lifeline_check stamp={time.time_ns()}i\n".encode())
        return
    yield round_trip(store, layout.main.name)
    yield from examine_points(admin, layout)


def _token(store: Server, layout: Layout, token_file: str | None) -> Iterator[Finding]:
    """Try an empty write to each bucket that the store writes to; the main one comes first."""
    where = token_file or "token_env"
    for bucket in layout.buckets:
        if not bucket.written:
            continue
        what = f"writing to {bucket.name}"
        try:
            store.write(bucket.name, b"")
        except Refusal as error:
            if error.status == 400:  # 1.x and others do not like a request without lines
                yield Finding("ok", what, "the token is taken")
            elif error.of_rights:
                remedy = f"put a token that may write to {bucket.name} into {where}, or move that "
                remedy += "file away and run lifeline influx setup"
                yield Finding("trouble", what, f"the token is refused ({error})", remedy)
            elif error.status == 404:
                remedy = f"{SETUP}, or correct org and bucket in city.toml"
                yield Finding("trouble", what, f"no such bucket or org ({error})", remedy)
            else:
                raise
        else:
            yield Finding("ok", what, "the token is taken")


def _administration(config: CityConfig, admin: Server, layout: Layout) -> Iterator[Finding]:
    found = {w.name: admin.bucket(w.name) for w in layout.buckets}
    for wanted in layout.buckets:
        bucket = found[wanted.name]
        if bucket is None:
            said = "is not there, or the token may not read it"
            remedy = f"{SETUP}; or give --admin-token-file"
            yield Finding("trouble", f"bucket {wanted.name}", said, remedy)
            continue
        yield _retention(config, wanted, bucket, is_main=wanted == layout.main)
        yield _mapping(admin, bucket)
    main = found[layout.main.name]
    if main is not None:
        for task in layout.tasks:
            yield _task(admin, main.org_id, task)
        yield _schema(main)


def _retention(
    config: CityConfig, wanted: WantedBucket, bucket: Bucket, *, is_main: bool
) -> Finding:
    what, has = f"bucket {wanted.name}", f"keeps {kept(bucket.keep_s)}"
    keep_ns = bucket.keep_s * _S
    journal_ns = config.entry.journal.keep
    if is_main and keep_ns and keep_ns < journal_ns:
        said = f"{has}, less than the journal ({kept(journal_ns // _S)}): what is written after a "
        said += "long outage would be dropped"
        remedy = "make keep in [influx] at least that of [journal], and run lifeline influx setup"
        return Finding("trouble", what, said, remedy)
    if keep_ns and bucket.keep_s < wanted.keep_s:
        said = f"{has}, city.toml says {kept(wanted.keep_s)}"
        return Finding("trouble", what, said, "lifeline influx setup lengthens it")
    return Finding("ok", what, has)


def _mapping(admin: Server, bucket: Bucket) -> Finding:
    what = f"mapping {bucket.name}/{POLICY}"
    found = admin.mappings(bucket.org_id, bucket.name)
    same = next((m for m in found if m.policy == POLICY), None)
    if same is None:
        return Finding("trouble", what, "is not there", SETUP)
    if same.bucket_id != bucket.id:
        said = f"leads to another bucket ({same.bucket_id}): dashboards show that one's points"
        remedy = f"influx v1 dbrp delete --id {same.id}, then lifeline influx setup"
        return Finding("trouble", what, said, remedy)
    if not same.default:
        remedy = "lifeline influx setup makes it the default"
        return Finding("trouble", what, "is not the default of its database", remedy)
    return Finding("ok", what, "is there")


def _task(admin: Server, org_id: str, wanted: WantedTask) -> Finding:
    what, task = f"task {wanted.name}", admin.task(org_id, wanted.name)
    if task is None:
        said = "is not there, or the token may not see it"
        return Finding("trouble", what, said, f"{SETUP}; or give --admin-token-file")
    if task.status != "active":
        return Finding("trouble", what, f"is {task.status}", "lifeline influx setup activates it")
    if task.flux.strip() != wanted.flux.strip():
        said = "its Flux is not that of this version"
        return Finding("trouble", what, said, "lifeline influx setup puts it right")
    if task.last_status in ("failed", "canceled"):
        said = f"its last run {task.last_status}: {task.last_error[:300]}"
        remedy = f"influx task log list --task-id {task.id} tells more"
        return Finding("trouble", what, said, remedy)
    late = timedelta(seconds=3 * wanted.every_s)
    since = task.completed or task.created
    if since is not None and datetime.now(UTC) - since > late:
        said = f"has not run since {since:%Y-%m-%d %H:%M}Z"
        return Finding("trouble", what, said, "see the log of InfluxDB; restart it")
    if not task.last_status:
        return Finding("note", what, "active, has not run yet")
    return Finding("ok", what, f"active, last run {task.last_status}")


def _schema(main: Bucket) -> Finding:
    mark = mark_of(main.description)
    if mark == SCHEMA:
        return Finding("ok", "schema", f"version {SCHEMA}")
    if mark is not None and mark > SCHEMA:
        said = f"version {mark}; this program knows {SCHEMA}"
        return Finding("trouble", "schema", said, "update City Lifeline")
    has = "not marked" if mark is None else f"version {mark}"
    said = f"{has}; this program writes {SCHEMA}"
    return Finding("trouble", "schema", said, "lifeline influx migrate --dry-run, then without it")
