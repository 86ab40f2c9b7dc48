"""Bring a server to the wanted layout: each step is tried against what is there, told, and done.

Nothing is ever deleted, and retention is only lengthened unless asked otherwise: a shorter one
would remove points. The mark of the layout's version is set last, so a broken-off run is not
taken for a whole one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lifeline.errors import Failure
from lifeline.influx.layout import POLICY, SCHEMA, mark_of, marked
from lifeline.influx.tokens import lacking, open_to_others, read_token, write_token
from rules.durations import format_duration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lifeline.influx.layout import Layout, WantedBucket, WantedTask
    from lifeline.influx.server import Bucket, Server
    from lifeline.influx.tokens import WantedToken


@dataclass(frozen=True, slots=True)
class Step:
    """One line: what was looked at and what became of it; ``remedy`` where a person must act."""

    what: str
    done: str
    changed: bool = False
    remedy: str = ""

    def __str__(self) -> str:
        """Return the line."""
        return f"{self.what}: {self.done}" + (f"; {self.remedy}" if self.remedy else "")


class Arrangement:
    """The steps from what a server has to ``layout``; with ``dry_run`` they are only told."""

    def __init__(
        self,
        server: Server,
        layout: Layout,
        tokens: tuple[WantedToken, ...],
        *,
        as_token: Callable[[str], Server],
        shorten: bool = False,
        dry_run: bool = False,
    ) -> None:
        self._server = server
        self._layout = layout
        self._tokens = tokens
        self._as_token = as_token
        self._shorten = shorten
        self._dry_run = dry_run
        self._org_id = ""
        self._buckets: dict[str, Bucket] = {}
        self._tasks: dict[str, str] = {}

    def steps(self) -> Iterator[Step]:
        """Do and tell one step after the other.

        Raises
        ------
        Failure
            The server says no; what was done before stands, and a second run goes on from there.
        """
        yield self._org()
        for wanted in self._layout.buckets:
            yield self._bucket(wanted)
        for wanted in self._layout.buckets:
            yield self._mapping(wanted.name)
        for task in self._layout.tasks:
            yield self._task(task)
        for token in self._tokens:
            yield self._token(token)
        yield self._mark()

    def _change(self, what: str, done: str, to_do: str, act: Callable[[], None]) -> Step:
        if self._dry_run:
            return Step(what, to_do, changed=True)
        act()
        return Step(what, done, changed=True)

    def _org(self) -> Step:
        what, found = f"org {self._layout.org}", self._server.org_id()
        if found is not None:
            self._org_id = found
            return Step(what, "exists")

        def make() -> None:
            self._org_id = self._server.create_org()

        return self._change(what, "created", "to be created", make)

    def _bucket(self, wanted: WantedBucket) -> Step:
        what = f"bucket {wanted.name}"
        bucket = self._server.bucket(wanted.name) if self._org_id else None
        keeps = kept(wanted.keep_s)
        if bucket is None:

            def make() -> None:
                self._buckets[wanted.name] = self._server.create_bucket(
                    self._org_id, wanted.name, wanted.keep_s, wanted.holds
                )

            made = f"keeps {keeps}"
            return self._change(what, f"created, {made}", f"to be created, {made}", make)
        self._buckets[wanted.name] = bucket
        if bucket.keep_s == wanted.keep_s:
            return Step(what, f"exists, keeps {keeps}")
        longer = bool(bucket.keep_s) and wanted.keep_s > bucket.keep_s
        if not longer and not self._shorten:
            said = f"exists, keeps {kept(bucket.keep_s)} and not {keeps}; --shorten would remove "
            return Step(what, said + "what is older")
        change = f"retention {kept(bucket.keep_s)} -> {keeps}"
        return self._change(
            what,
            f"changed {change}",
            f"to change {change}",
            lambda: self._server.change_bucket(
                bucket, keep_s=wanted.keep_s, description=bucket.description
            ),
        )

    def _mapping(self, name: str) -> Step:
        """Map the database of a bucket's name to it; mappings of other policies stay."""
        what, bucket = f"mapping {name}/{POLICY}", self._buckets.get(name)
        found = self._server.mappings(self._org_id, name) if bucket else []
        same = next((m for m in found if m.policy == POLICY), None)
        if bucket is None or same is None:
            return self._change(
                what,
                "created",
                "to be created",
                lambda: self._server.create_mapping(
                    self._org_id, self._buckets[name].id, name, POLICY
                ),
            )
        if same.bucket_id != bucket.id:
            remedy = (
                f"remove that mapping (influx v1 dbrp delete --id {same.id}) and run this again"
            )
            return Step(what, f"leads to another bucket ({same.bucket_id})", remedy=remedy)
        if same.default:
            return Step(what, "exists")
        return self._change(
            what,
            "made the default",
            "to be made the default",
            lambda: self._server.change_mapping(self._org_id, same, policy=POLICY),
        )

    def _task(self, wanted: WantedTask) -> Step:
        what = f"task {wanted.name}"
        task = self._server.task(self._org_id, wanted.name) if self._org_id else None
        if task is None:

            def make() -> None:
                made = self._server.create_task(self._org_id, wanted.flux, "City Lifeline")
                self._tasks[wanted.name] = made

            return self._change(what, "created", "to be created", make)
        self._tasks[wanted.name] = task.id
        other = []
        if task.flux.strip() != wanted.flux.strip():
            other.append("its Flux")
        if task.status != "active":
            other.append(f"status {task.status} -> active")
        if not other:
            return Step(what, "exists")
        said = " and ".join(other)
        return self._change(
            what,
            f"changed {said}",
            f"to change {said}",
            lambda: self._server.change_task(task, flux=wanted.flux),
        )

    def _token(self, wanted: WantedToken) -> Step:
        what = f"token {wanted.file}"
        if wanted.file.exists():
            return self._held_token(what, wanted)

        def make() -> None:
            write_token(
                wanted.file,
                lambda: self._server.create_token(
                    self._org_id,
                    wanted.description,
                    wanted.rights({n: b.id for n, b in self._buckets.items()}, self._tasks),
                ),
            )

        others = (
            self._server.described_tokens(self._org_id, wanted.description) if self._org_id else []
        )
        step = self._change(what, "created", "to be created", make)
        if others:
            said = f"revoke the earlier {wanted.description!r} there if nobody uses it: "
            return Step(step.what, step.done, changed=True, remedy=said + ", ".join(others))
        return step

    def _held_token(self, what: str, wanted: WantedToken) -> Step:
        if open_to_others(wanted.file):
            return Step(what, "others may read it", remedy=f"chmod 600 {wanted.file}")
        if self._dry_run and len(self._buckets) < len(self._layout.buckets):
            return Step(what, "exists; what it may do is tried once the buckets are there")
        server = self._as_token(read_token(wanted.file))
        try:
            missing = lacking(server, wanted, self._org_id)
        finally:
            server.close()
        if not missing:
            return Step(what, "exists")
        remedy = f"move {wanted.file} away and run this again: a token with these rights is made"
        return Step(what, f"it may not {', '.join(missing)}", remedy=remedy)

    def _mark(self) -> Step:
        main = self._layout.main
        what, bucket = f"schema {SCHEMA}", self._buckets.get(main.name)
        if bucket is not None and mark_of(bucket.description) == SCHEMA:
            return Step(what, f"marked on bucket {main.name}")

        def mark() -> None:
            now = self._server.bucket(main.name)
            if now is None:
                raise Failure(f"bucket {main.name} is gone while it was set up; run this again")
            text = marked(now.description, main.holds)
            self._server.change_bucket(now, keep_s=now.keep_s, description=text)

        return self._change(
            what, f"marked on bucket {main.name}", f"to be marked on bucket {main.name}", mark
        )


def kept(keep_s: int) -> str:
    """Return how long a bucket keeps its points, in words."""
    return format_duration(keep_s * 10**9) if keep_s else "for ever"
