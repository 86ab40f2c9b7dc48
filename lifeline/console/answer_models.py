"""What the main routes answer, field by field, for the API's document; a test holds them to it.

The routes write their answers themselves: these models are read by `api_document.py` alone. Times
are Unix milliseconds, None where there is none.
"""

from __future__ import annotations

from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from lifeline.console.answer_figures import KpisAnswer

Ms = int | None
Value = float | Literal["over", "under"] | None
"""A number; ``over`` and ``under`` where it lies beyond the range; None: none."""
Tongues = dict[Literal["en", "zh"], str]


class Held(BaseModel):
    """What keeps an alarm from calling."""

    hold: Literal["shelved", "by_design", "out_of_service"]
    cause: str
    until_ms: Ms
    by: str


class AlarmWords(BaseModel):
    """An alarm in one language."""

    what: str
    value: str
    limit: str
    place: str
    since: str
    why: str
    sentence: str


class Alarm(BaseModel):
    """One alarm; ``severity`` 1 blue … 4 red as it is shown now."""

    model_config = ConfigDict(populate_by_name=True)

    id: str
    seq: int
    word: Literal["UNACK", "RTNUN", "ACKED", "NORM", "SHLVD", "DSUPR", "OOSRV"]
    severity: int = Field(ge=0, le=4)
    max_severity: int = Field(ge=0, le=4)
    active: bool
    acked: bool
    confirmed: bool
    over_range: bool
    held: list[Held]
    chattering: bool
    reactivations: int
    assigned_to: str
    verdict: Literal["", "true", "false"]
    cause: str
    comments: int
    shelve_asked_by: str
    shelve_max_min: int
    ack_wants: str
    late: bool
    ended: bool
    klass: str = Field(alias="class")
    simulation: bool
    domain: str
    rule: str
    subject: str
    channel: str
    scored: bool
    unit: str
    decimals: int
    quantity: str
    gap_ms: int | None
    asset: str
    at: list[float] | None
    value: Value
    limit: Value
    onset_ms: Ms
    raised_ms: Ms
    event_ms: Ms
    received_ms: Ms
    cleared_ms: Ms
    acked_by: str
    acked_ms: Ms
    comment: str
    labels: dict[str, str]
    words: dict[Literal["en", "zh"], AlarmWords]


class Called(BaseModel):
    """Whom a message went to: as the rules name them, and in words."""

    name: str
    words: Tongues


class AlarmEvent(BaseModel):
    """One line of an alarm's history; ``to``: whom a step of an escalation called."""

    seq: int
    type: str
    severity: int
    event_ms: Ms
    received_ms: Ms
    value: Value
    limit: Value
    by: str
    comment: str
    to: list[Called]


class Steps(BaseModel):
    """A runbook in one language."""

    title: str
    steps: list[str]


class Advice(BaseModel):
    """What to do, and what the rule says of itself."""

    en: str
    zh: str
    runbook: str
    exposed_people: int
    steps: dict[Literal["en", "zh"], Steps] | None
    maturity: str
    limits_from: str
    labels: dict[str, str]
    known_false_positives: list[str]


class AlarmsAnswer(BaseModel):
    """Alarms, worst and newest first."""

    alarms: list[Alarm]


class OrderAnswer(BaseModel):
    """The alarm as it stands after an order."""

    alarm: Alarm


class AlarmAnswer(BaseModel):
    """One alarm with its events, oldest first, and what to do."""

    alarm: Alarm
    events: list[AlarmEvent]
    advice: Advice


class Deed(BaseModel):
    """What somebody did about an alarm, or about its incident."""

    what: str
    of_incident: bool
    at_ms: Ms
    by: str
    said: str


class SimilarAlarm(BaseModel):
    """A past alarm of the same rule."""

    id: str
    same: bool
    subject: str
    name: Tongues
    max_severity: int
    raised_ms: Ms
    cleared_ms: Ms
    lasted_s: float | None
    ended: bool
    value: Value
    verdict: Literal["", "true", "false"]
    cause: str
    incident: str
    done: list[Deed]


class SimilarAnswer(BaseModel):
    """Past alarms: of the same source first, newest first."""

    similar: list[SimilarAlarm]


class Due(BaseModel):
    """A time limit that the site has set for a stage."""

    stage: str
    due_ms: Ms
    met_ms: Ms
    overdue: bool


class IncidentWords(BaseModel):
    """An incident in one language: its first-out alarm."""

    what: str
    place: str
    sentence: str


class Incident(BaseModel):
    """One incident, with those of its alarms that are seen."""

    id: str
    seq: int
    stage: str
    over: bool
    severity: int
    active: bool
    news: bool
    simulation: bool
    domain: str
    nature: str
    members: int
    alarms: list[str]
    partial: bool
    first_out: str
    raised_ms: Ms
    reached: dict[str, Ms]
    by: dict[str, str]
    assigned_to: str
    handover: str
    handover_by: str
    cause: str
    reason: str
    comments: int
    dues: list[Due]
    overdue: bool
    orders: list[str]
    words: dict[Literal["en", "zh"], IncidentWords]


class IncidentEvent(BaseModel):
    """One line of an incident's story."""

    seq: int
    type: str
    at_ms: Ms
    by: str
    alarm: str = ""
    reason: str = ""
    cause: str = ""
    to: str = ""


class Camera(BaseModel):
    """A link to a camera of an asset."""

    asset: str
    url: str


class Concern(BaseModel):
    """Whom an incident concerns and what isolates it, by the registry's networks."""

    assets: list[str]
    exposed_people: int
    close: list[str]
    section: list[str]
    feeding: list[str]
    dry: list[str]
    people_without: int
    downstream: list[str]
    people_downstream: int
    critical: list[str]
    cameras: list[Camera]
    networked: bool
    beyond: bool
    says: dict[Literal["en", "zh"], list[str]]


class IncidentsAnswer(BaseModel):
    """Incidents, worst and newest first."""

    incidents: list[Incident]


class IncidentOrderAnswer(BaseModel):
    """The incident as it stands after an order."""

    incident: Incident


class IncidentAnswer(BaseModel):
    """One incident with its alarms, its story, whom it concerns, and what was done on site."""

    incident: Incident
    alarms: list[Alarm]
    events: list[IncidentEvent]
    concern: Concern | None
    field: list[dict[str, Any]]


_ALARM: Final = "/api/alarms/{alarm_id}"
_INCIDENT: Final = "/api/incidents/{incident_id}"
_ALARM_ORDERS: Final = (
    "ack", "ack/revoke", "shelve", "unshelve", "comment", "assign", "classify",
)  # fmt: skip
_INCIDENT_ORDERS: Final = (
    "acknowledge", "verify", "dispatch", "on-site", "mitigate", "close", "false-alarm", "reopen",
    "comment", "assign", "hand-over",
)  # fmt: skip
ANSWERS: Final[dict[tuple[str, str], type[BaseModel]]] = {
    ("GET", "/api/alarms"): AlarmsAnswer,
    ("GET", _ALARM): AlarmAnswer,
    ("GET", f"{_ALARM}/similar"): SimilarAnswer,
    **{("POST", f"{_ALARM}/{order}"): OrderAnswer for order in _ALARM_ORDERS},
    ("GET", "/api/incidents"): IncidentsAnswer,
    ("GET", _INCIDENT): IncidentAnswer,
    **{("POST", f"{_INCIDENT}/{order}"): IncidentOrderAnswer for order in _INCIDENT_ORDERS},
    ("GET", "/api/kpis"): KpisAnswer,
}
"""(method, path as the route has it): what its 200 answers."""
