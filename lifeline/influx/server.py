"""The one wrapper of influxdb-client's administration: buckets, mappings, tasks, tokens, queries.

Writing points for the store is ingest/store/influx.py's. Every call gives an answer of ours,
or raises `Unreachable` (no answer) or `Refusal` (the server says no), each with its place.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import urlsplit

import influxdb_client as client
import urllib3
from influxdb_client.client.exceptions import InfluxDBError
from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.service.dbr_ps_service import DBRPsService
from influxdb_client.service.write_service import WriteService

from ingest.secret_words import without_secrets
from ingest.tls import tls_trouble
from lifeline.errors import Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from lifeline.settings.config import CityConfig

TIMEOUT_S: Final = 10.0
API: Any = client  # the client has no types
T = TypeVar("T")


class Refusal(Exception):  # noqa: N818 - says what happened
    """The server answers, and says no; ``status`` is HTTP's."""

    def __init__(self, what: str, status: int, reason: str) -> None:
        super().__init__(f"{what}: {status} {reason}")
        self.status = status
        self.reason = reason

    @property
    def of_rights(self) -> bool:
        """Return whether the token is what the server dislikes."""
        return self.status in (401, 403)


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket as the server has it; ``keep_s`` 0 is for ever."""

    id: str
    org_id: str
    name: str
    keep_s: int
    description: str


@dataclass(frozen=True, slots=True)
class Mapping:
    """What makes a bucket answer as a database in InfluxQL."""

    id: str
    bucket_id: str
    database: str
    policy: str
    default: bool


@dataclass(frozen=True, slots=True)
class Task:
    """A task and how its last run went; ``status`` is active or inactive."""

    id: str
    name: str
    flux: str
    status: str
    last_status: str
    last_error: str
    created: datetime | None
    completed: datetime | None


@dataclass(frozen=True, slots=True)
class Right:
    """One thing a token may do: ``action`` read or write, ``kind`` buckets or tasks."""

    action: str
    kind: str
    id: str


class Server:
    """One server, asked with one token."""

    def __init__(
        self, *, url: str, org: str, token: str, verify_tls: bool = True, ca_file: str | None = None
    ) -> None:
        self.url, self.org = url.rstrip("/"), org
        made: Any = InfluxDBClient
        self._client = made(
            url=self.url,
            token=token,
            org=org,
            timeout=int(TIMEOUT_S * 1000),
            retries=False,
            verify_ssl=verify_tls,
            ssl_ca_cert=ca_file,
        )
        writing: Any = WriteService
        mapping: Any = DBRPsService
        self._writes = writing(self._client.api_client)
        self._mappings = mapping(self._client.api_client)

    @classmethod
    def of(cls, config: CityConfig, token: str) -> Server:
        """Return the server of ``[influx]``, asked with ``token``.

        Raises
        ------
        ValueError
            There is no table ``[influx]``.
        """
        entry = config.entry.influx
        if entry is None:
            raise ValueError("no [influx] table")
        return cls(
            url=entry.url,
            org=entry.org,
            token=token,
            verify_tls=entry.verify_tls,
            ca_file=str(config.path(entry.ca_file)) if entry.ca_file else None,
        )

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _ask(self, what: str, call: Callable[[], T]) -> T:
        try:
            return call()
        except InfluxDBError as error:
            self._tls(error)
            status = int(getattr(error, "status", 0) or 0)
            text: Any = error.message or getattr(error, "reason", "")
            said = text.decode(errors="replace") if isinstance(text, bytes) else str(text)
            raise Refusal(
                f"{self.url}: {what}", status, without_secrets(said.strip())[:300]
            ) from error
        except (urllib3.exceptions.HTTPError, OSError) as error:
            self._tls(error)
            said = f"InfluxDB {self.url} ([influx]): no answer to {what} ({error}); "
            raise Unreachable(said + "is it running, and is url right?") from error

    def _tls(self, error: Exception) -> None:
        """Raise Unreachable where TLS failed: the client tells it as an answer with status 0."""
        if trouble := tls_trouble(error, urlsplit(self.url).hostname or ""):
            raise Unreachable(f"InfluxDB {self.url} ([influx]): {trouble}") from error

    def _optional(self, what: str, call: Callable[[], T]) -> T | None:
        """Return None where the server answers 404: it knows no such thing, or hides it."""
        try:
            return self._ask(what, call)
        except Refusal as error:
            if error.status == 404:
                return None
            raise

    def _raw(self, method: str, path: str, query: list[tuple[str, str]]) -> Any:
        """Return the answer to a request the client has no function for, read to its end."""
        answer = self._client.api_client.call_api(
            path, method, {}, query, {"Accept": "application/json"},
            auth_settings=[], _return_http_data_only=True, _preload_content=False,
        )  # fmt: skip
        answer.read(cache_content=True)
        return answer

    def version(self) -> str:
        """Return what the server calls its version, "" where it is no InfluxDB."""
        answer = self._ask("/ping", lambda: self._raw("GET", "/ping", []))
        return str(answer.headers.get("X-Influxdb-Version") or "").removeprefix("v")

    def has_buckets(self) -> bool:
        """Return whether there is the administration of InfluxDB 2.x, whatever the token may do."""
        try:
            self._ask("buckets", lambda: self._client.buckets_api().find_buckets(limit=1))
        except Refusal as error:
            return error.of_rights
        return True

    def org_id(self) -> str | None:
        """Return the id of our org, None where there is none (or the token may not see it)."""
        found = self._optional(
            f"org {self.org!r}",
            lambda: self._client.organizations_api().find_organizations(org=self.org),
        )
        return next((o.id for o in found or [] if o.name == self.org), None)

    def create_org(self) -> str:
        """Make our org and return its id."""
        what = f"create org {self.org!r}"
        api = self._client.organizations_api()
        return str(self._ask(what, lambda: api.create_organization(name=self.org)).id)

    def bucket(self, name: str) -> Bucket | None:
        """Return a bucket, None where there is none (or the token may not see it)."""
        api = self._client.buckets_api()
        found = self._optional(
            f"bucket {name!r}", lambda: api.find_buckets(name=name, org=self.org)
        )
        return next((_bucket(b) for b in found.buckets if b.name == name), None) if found else None

    def create_bucket(self, org_id: str, name: str, keep_s: int, description: str) -> Bucket:
        """Make a bucket and return it."""
        request = API.PostBucketRequest(
            org_id=org_id, name=name, description=description, retention_rules=_rules(keep_s)
        )
        api = self._client.buckets_api()
        made = self._ask(f"create bucket {name!r}", lambda: api.create_bucket(bucket=request))
        return _bucket(made)

    def change_bucket(self, bucket: Bucket, *, keep_s: int, description: str) -> None:
        """Give a bucket another retention or description."""
        request = API.Bucket(
            id=bucket.id, name=bucket.name, description=description, retention_rules=_rules(keep_s)
        )
        api = self._client.buckets_api()
        self._ask(f"change bucket {bucket.name!r}", lambda: api.update_bucket(request))

    def mappings(self, org_id: str, database: str) -> list[Mapping]:
        """Return the explicit mappings of a database; the ones a server makes up are left out."""
        found = self._ask(
            f"mappings of {database!r}",
            lambda: self._mappings.get_dbr_ps(org_id=org_id, db=database),
        )
        return [
            Mapping(m.id, m.bucket_id, m.database, m.retention_policy, bool(m.default))
            for m in found.content or []
            if not m.virtual
        ]

    def create_mapping(self, org_id: str, bucket_id: str, database: str, policy: str) -> None:
        """Let ``database``, and its retention policy by default, be a bucket."""
        request = API.DBRPCreate(
            org_id=org_id,
            bucket_id=bucket_id,
            database=database,
            retention_policy=policy,
            default=True,
        )
        what = f"create mapping {database!r}"
        self._ask(what, lambda: self._mappings.post_dbrp(dbrp_create=request))

    def change_mapping(self, org_id: str, mapping: Mapping, *, policy: str) -> None:
        """Make a mapping the default of its database, under another policy's name."""
        request = API.DBRPUpdate(retention_policy=policy, default=True)
        self._ask(
            f"change mapping {mapping.database!r}",
            lambda: self._mappings.patch_dbrpid(
                dbrp_id=mapping.id, dbrp_update=request, org_id=org_id
            ),
        )

    def task(self, org_id: str, name: str) -> Task | None:
        """Return a task, None where there is none (or the token may not see it)."""
        api = self._client.tasks_api()
        found = self._optional(f"task {name!r}", lambda: api.find_tasks(name=name, org_id=org_id))
        return next((_task(t) for t in found or [] if t.name == name), None)

    def create_task(self, org_id: str, flux: str, description: str) -> str:
        """Make an active task and return its id."""
        request = API.TaskCreateRequest(
            org_id=org_id, flux=flux, status="active", description=description
        )
        api = self._client.tasks_api()
        made = self._ask("create task", lambda: api.create_task(task_create_request=request))
        return str(made.id)

    def change_task(self, task: Task, *, flux: str) -> None:
        """Give a task another text, and let it run."""
        request = API.TaskUpdateRequest(flux=flux, status="active")
        api = self._client.tasks_api()
        what = f"change task {task.name!r}"
        self._ask(what, lambda: api.update_task_request(task.id, task_update_request=request))

    def described_tokens(self, org_id: str, description: str) -> list[str]:
        """Return the ids of the tokens with this description."""
        api = self._client.authorizations_api()
        found = self._ask("tokens", lambda: api.find_authorizations(org_id=org_id))
        return [str(a.id) for a in found or [] if a.description == description]

    def create_token(self, org_id: str, description: str, rights: Iterable[Right]) -> str:
        """Make a token that may do ``rights`` and no more, and return its text."""
        permissions = [
            API.Permission(
                action=r.action,
                resource=API.PermissionResource(type=r.kind, id=r.id, org_id=org_id),
            )
            for r in rights
        ]
        request = API.Authorization(org_id=org_id, description=description, permissions=permissions)
        api = self._client.authorizations_api()
        what = f"create token {description!r}"
        return str(self._ask(what, lambda: api.create_authorization(authorization=request)).token)

    def write(self, bucket: str, body: bytes) -> None:
        """Write lines; none at all ask whether they would be taken."""
        self._ask(
            f"write to {bucket!r}",
            lambda: self._writes.post_write(
                self.org, bucket, body, precision="ns", content_type="text/plain; charset=utf-8"
            ),
        )

    def influxql(self, database: str, text: str) -> list[dict[str, Any]]:
        """Return the series of an InfluxQL query, as the server gives them.

        Raises
        ------
        Refusal
            Also where the query itself is what is wrong, with status 200.
        """
        what = f"InfluxQL in {database!r}"
        query = [("db", database), ("q", text), ("epoch", "ns")]
        answer = self._ask(what, lambda: self._raw("POST", "/query", query))
        try:
            (result,) = json.loads(answer.data)["results"]
        except (ValueError, KeyError) as error:
            raise Refusal(f"{self.url}: {what}", int(answer.status), "gives no results") from error
        if "error" in result:
            raise Refusal(f"{self.url}: {what}", int(answer.status), str(result["error"]))
        return list(result.get("series", []))

    def flux(self, text: str) -> list[dict[str, Any]]:
        """Return the rows of a Flux query."""
        api = self._client.query_api()
        tables = self._ask("Flux", lambda: api.query(text, org=self.org))
        return [dict(record.values) for table in tables for record in table.records]


def _rules(keep_s: int) -> list[Any]:
    return [API.BucketRetentionRules(type="expire", every_seconds=keep_s)]


def _bucket(found: Any) -> Bucket:
    keep_s = next((int(r.every_seconds or 0) for r in found.retention_rules or []), 0)
    return Bucket(found.id, found.org_id, found.name, keep_s, found.description or "")


def _task(found: Any) -> Task:
    return Task(
        found.id,
        found.name,
        found.flux or "",
        found.status or "",
        found.last_run_status or "",
        found.last_run_error or "",
        found.created_at,
        found.latest_completed,
    )
