"""What an alarm says, in both languages: templates with named placeholders and nothing else.

``{{ asset.name }} methane {{ value }} (limit {{ limit }})`` is filled in when the alarm is shown.
A placeholder that does not exist is an error when the rules are loaded, not an empty string then.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from rules.problems import nearest

if TYPE_CHECKING:
    from collections.abc import Mapping

PLACEHOLDERS: Final[dict[str, str]] = {
    "asset.id": "id of the asset",
    "asset.name": "name of the asset in English",
    "asset.name_zh": "name of the asset in Chinese",
    "asset.district": "district of the asset",
    "channel": "id of the channel",
    "device": "id of the device",
    "rule": "id of the rule",
    "level": "name of the level",
    "quantity": "what is measured, in English",
    "quantity_zh": "what is measured, in Chinese",
    "value": "the value with its unit",
    "score": "what was compared with the limit, with its unit",
    "limit": "the limit that decided, with its unit",
    "since": "when it began (local time)",
    "measured": "when it was measured (local time)",
    "received": "when it was received (local time)",
    "silence": "how long the device has been silent",
}

_LABEL: Final = re.compile(r"labels\.\w+", re.ASCII)  # one of the rule's own: {{ labels.team }}
_PLACE: Final = re.compile(r"\{\{\s*(.*?)\s*\}\}")


def check_template(text: str) -> str:
    """Return ``text``, a message template.

    Raises
    ------
    ValueError
        It names something else than PLACEHOLDERS, or has a brace without its partner.
    """
    for name in _PLACE.findall(text):
        if name not in PLACEHOLDERS and not _LABEL.fullmatch(name):
            hint = nearest(name, PLACEHOLDERS)
            raise ValueError(
                f"unknown placeholder {{{{ {name} }}}}{hint or ': known are ' + _known()}"
            )
    rest = _PLACE.sub("", text)
    if "{" in rest or "}" in rest:
        raise ValueError("a brace stands alone: placeholders are written {{ value }}")
    return text


def messages_of(body: Any, default: tuple[str, str]) -> dict[str, Any]:
    """Return what a rule says, its own words or those of its kind, as a plan keeps them."""
    return {
        "message": body.message or default[0],
        "message_zh": body.message_zh or default[1],
        "runbook": body.runbook,
        "labels": body.labels,
        "status": body.status,
        "source_text": body.source_text,
        "known_false_positives": body.known_false_positives,
    }


def render(template: str, values: Mapping[str, str]) -> str:
    """Return the template filled in; a placeholder without a value shows as ``?``."""
    return _PLACE.sub(lambda found: values.get(found[1], "?"), template)


def _known() -> str:
    return ", ".join(PLACEHOLDERS)
