"""The tables of ``city.toml`` about who is told outside: outlets, departments, routes, answers.

``[outlet.KIND.NAME]`` is the outlet ``KIND:NAME``: the same word that a step of an escalation calls
(``to: ["dingtalk:gas"]``). ``[department.NAME]`` is a list of outlets, called ``department:NAME``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Final, Literal

from pydantic import AfterValidator, Field

from rules.strict_models import DurationNs, Strict

if TYPE_CHECKING:
    from collections.abc import Iterator

_AT: Final = r"[^\s@<>,]+@[^\s@<>,]+"


def _like(pattern: str, wanted: str) -> AfterValidator:
    """Return a check that says what is wanted, not which pattern."""

    def check(text: str) -> str:
        if len(text) > 255 or not re.fullmatch(pattern, text):
            raise ValueError(f"{text[:64]!r} {wanted}")
        return text

    return AfterValidator(check)


Port = Annotated[int, Field(ge=1, le=65535)]
Word = Annotated[str, Field(min_length=1, max_length=255)]
OutletName = Annotated[
    str,
    _like(r"[a-z][a-z0-9-]{0,31}", "is no name: write a to z, 0 to 9 and -, at most 32 of them"),
]
Target = Annotated[
    str,
    _like(
        r"[a-z][a-z0-9-]{0,31}(:[a-z][a-z0-9-]{0,31})?",
        "is nobody: write webhook, email:duty (an outlet's kind and name) or department:fire",
    ),
]
Address = Annotated[str, _like(_AT, "is no address: write name@host")]
Sender = Annotated[
    str,
    _like(rf"([^<>\r\n]* <{_AT}>|{_AT})", 'is no address: write name@host or "City <name@host>"'),
]
Least = Annotated[int, Field(ge=1, le=4)]
Language = Literal["zh", "en", "both"]
KINDS: Final = ("alertmanager", "mqtt", "email", "wecom", "dingtalk", "feishu")
ROBOTS: Final[tuple[Literal["wecom", "dingtalk", "feishu"], ...]] = ("wecom", "dingtalk", "feishu")
MAIL_PORTS: Final = {"starttls": 587, "tls": 465, "plain": 25}


class OutletEntry(Strict):
    """What all outlets have."""

    min_severity: Least = 2
    ca_file: str | None = None  # beside the machine's authorities


class AlertmanagerEntry(OutletEntry):
    """An Alertmanager; each member of a cluster is an outlet of its own."""

    url: Annotated[str, Field(pattern=r"^https?://\S+$")]
    user: str = ""
    password_file: str | None = None
    password_env: str | None = None
    every: Annotated[DurationNs, Field(ge=10**9, le=600 * 10**9)] = 60 * 10**9


class MqttOutEntry(OutletEntry):
    """A broker that others listen to."""

    host: Word
    port: Port | None = None  # 1883, with TLS 8883
    prefix: Annotated[str, Field(pattern=r"^[^+#\s/$][^+#\s]{0,126}[^+#\s/]$")] = "lifeline/out"
    user: str = ""
    password_file: str | None = None
    password_env: str | None = None
    tls: bool = False
    min_severity: Least = 1


class EmailEntry(OutletEntry):
    """A mail server, and whom it mails to."""

    host: Word
    port: Port | None = None  # 587 with STARTTLS, 465 with tls, 25 plain
    security: Literal["starttls", "tls", "plain"] = "starttls"
    user: str = ""
    password_file: str | None = None
    password_env: str | None = None
    sender: Sender
    to: Annotated[list[Address], Field(min_length=1, max_length=100)]
    language: Language = "both"
    per_minute: Annotated[int, Field(ge=1, le=1_000)] = 30
    min_severity: Least = 3


class RobotEntry(OutletEntry):
    """A robot of a chat group: its address is a secret, so it stands in a file."""

    url_file: str | None = None
    url_env: str | None = None
    secret_file: str | None = None  # of its signature, where it checks one
    secret_env: str | None = None
    language: Language = "zh"
    per_minute: Annotated[int, Field(ge=1, le=100)] = 18


class WecomEntry(RobotEntry):
    """WeCom: its address alone lets speak."""


class OutletsEntry(Strict):
    """All outlets beside the webhook, by kind and name."""

    alertmanager: dict[OutletName, AlertmanagerEntry] = Field(default={})
    mqtt: dict[OutletName, MqttOutEntry] = Field(default={})
    email: dict[OutletName, EmailEntry] = Field(default={})
    wecom: dict[OutletName, WecomEntry] = Field(default={})
    dingtalk: dict[OutletName, RobotEntry] = Field(default={})
    feishu: dict[OutletName, RobotEntry] = Field(default={})

    def each(self) -> Iterator[tuple[str, str, OutletEntry]]:
        """Yield (kind, name, entry) of every outlet."""
        for kind in KINDS:
            held: dict[str, OutletEntry] = getattr(self, kind)
            for name, entry in held.items():
                yield kind, name, entry


class DepartmentEntry(Strict):
    """An office that is told by one or more outlets."""

    name: str = ""
    name_zh: str = ""
    outlets: Annotated[list[Target], Field(min_length=1, max_length=20)]


Classes = Annotated[list[Literal["safety", "maintenance", "info"]], Field(min_length=1)]
Words = Annotated[list[Word], Field(min_length=1, max_length=100)]


class RouteEntry(Strict):
    """Who is told of which alarms. All keys that are given must fit, a list means any of them."""

    domain: Words | None = None  # "system" = alarms of City Lifeline about itself
    level: Words | None = None
    district: Words | None = None
    klass: Annotated[Classes | None, Field(alias="class")] = None
    to: Annotated[list[Target], Field(min_length=1, max_length=50)]


class WorkOrdersEntry(Strict):
    """A work-order system that posts what became of an alarm."""

    secret_file: str | None = None
    secret_env: str | None = None


class CapEntry(Strict):
    """Who we are in a CAP message; ``sender`` as the platform above knows us."""

    sender: Annotated[str, Field(pattern=r"^[^\s,<&]{1,128}$")]
    sender_name: str = ""
    sender_name_zh: str = ""
    url: Annotated[str, Field(pattern=r"^https?://\S+$")] | None = None  # incidents are sent there
    secret_file: str | None = None  # what signs them
    secret_env: str | None = None
    ca_file: str | None = None
    min_severity: Least = 3
