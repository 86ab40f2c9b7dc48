"""The labels of a notification, in the shape of Alertmanager's ``labels`` and ``annotations``.

A receiver can hand them on unchanged (``POST /api/v2/alerts``): names and values are texts,
``alertname`` is the rule, and labels of one alarm stay the same as long as its level does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lifeline.site import Site
    from rules.alarms import Alarm


def labelled(alarm: Alarm, site: Site | None) -> dict[str, Any]:
    """Return ``labels`` and what the rule says beside them; bare ones where no rule is known."""
    labels = {"alertname": alarm.rule or "system", "alarm": alarm.alarm_id}
    labels |= {"subject": alarm.subject, "severity": str(alarm.shown_severity)}
    if site is None:
        return {"labels": labels}
    levels = {level.severity: level.name for level in site.plan.levels}
    labels["level"] = levels.get(alarm.shown_severity, "")
    rule = site.said_by(alarm)
    if rule is None:
        return {"labels": {name: text for name, text in labels.items() if text}}
    own = {"domain": site.domain_of(alarm.subject), "class": rule.klass} | dict(rule.labels)
    said = {name: text for name, text in (own | labels).items() if text}
    book = site.plan.runbooks.get(rule.runbook)
    title = {} if book is None else {"runbook_title": {"en": book.title, "zh": book.title_zh}}
    return {"labels": said, "runbook": rule.runbook, "status": rule.status, **title}
