"""Secrets this process has read, so that no text it passes on says one.

A server may repeat what it was sent ("token abc… is not allowed"), a library may put it into an
error. Both end in logs, on the page and in the ledger. Kept for the process, in this one place:
a secret that is read is noted where it is read, and whoever passes on foreign words asks here.
"""

from __future__ import annotations

from base64 import b64encode
from typing import Final
from urllib.parse import quote

REMOVED: Final = "[removed]"
LEAST: Final = 4  # a shorter one would be taken out of the middle of words
_HELD: set[str] = set()


def noted(secret: str) -> str:
    """Note a secret, in the forms in which it may come back, and return it."""
    if len(secret) >= LEAST:
        _HELD.update((secret, quote(secret, safe=""), b64encode(secret.encode()).decode()))
    return secret


def without_secrets(text: str) -> str:
    """Return the text with every noted secret taken out."""
    for secret in sorted(_HELD, key=len, reverse=True):
        if secret in text:
            text = text.replace(secret, REMOVED)
    return text
