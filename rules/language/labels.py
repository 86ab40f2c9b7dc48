"""What a rule says of itself beside its limits: labels, maturity, known false positives.

None of it shapes a decision: a change of it keeps every alarm (docs/semantics.md, section 7).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Final, Literal

from pydantic import PlainValidator

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rules.language.models import Body

Status = Literal["stable", "trial"]
OWN_LABELS: Final = ("alertname", "rule", "subject", "alarm", "severity", "level", "simulation")
"""Labels the program gives every notification itself: a rule's would change what they mean."""

MOST: Final = 16
_NAME: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]{0,31}", re.ASCII)
_LONGEST: Final = 200


def read_labels(value: object) -> dict[str, str]:
    """Return ``{team: gas-duty}``, names as Prometheus and Alertmanager take them.

    Raises
    ------
    ValueError
        With what to write.
    """
    if not isinstance(value, dict) or not value:
        raise ValueError("must be a map of texts, such as {team: gas-duty}")
    if len(value) > MOST:
        raise ValueError(f"{len(value)} labels: at most {MOST}")
    for name, text in value.items():
        if not _NAME.fullmatch(str(name)) or str(name).startswith("__"):
            said = f"{str(name)[:40]!r} is no name of a label: a letter or _, then also digits"
            raise ValueError(said)
        if name in OWN_LABELS:
            raise ValueError(f'"{name}" is given by the program: choose another name')
        if not isinstance(text, str) or not text.strip():
            raise ValueError(f'{name}: {str(text)[:40]!r} is no text: write it as "{text}"')
        if len(text) > _LONGEST:
            raise ValueError(f"{name}: longer than {_LONGEST} characters: shorten it")
    return {str(name): text.strip() for name, text in value.items()}


def read_sentences(value: object) -> tuple[str, ...]:
    """Return a list of sentences.

    Raises
    ------
    ValueError
        With what to write.
    """
    if not isinstance(value, list) or not value:
        raise ValueError('must be a list of texts, such as ["biogas from the sewer beside it"]')
    for text in value:
        if not isinstance(text, str) or not text.strip():
            raise ValueError(f"{str(text)[:40]!r} is no text: write what alarms without danger")
    return tuple(text.strip() for text in value)


Labels = Annotated[
    dict[str, str], PlainValidator(read_labels, json_schema_input_type=dict[str, str])
]
Sentences = Annotated[
    tuple[str, ...], PlainValidator(read_sentences, json_schema_input_type=list[str])
]


def used_labels(body: Body) -> Iterable[tuple[str, str]]:
    """Return (key, label) of every label the rule's messages name."""
    for key in ("message", "message_zh"):
        for name in re.findall(r"\{\{\s*labels\.(\w+)\s*\}\}", getattr(body, key)):
            yield key, name
