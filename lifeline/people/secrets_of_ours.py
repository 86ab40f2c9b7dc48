"""Secrets we give out: 256 random bits each; only their SHA-256 is kept."""

from __future__ import annotations

import hashlib
import secrets
from typing import Final

from ingest.secret_words import noted

TOKEN_MARK: Final = "llt_"  # noqa: S105 - what a token begins with, so that a scanner finds it


def made(mark: str = "") -> tuple[str, str]:
    """Return (secret, its hash)."""
    secret = noted(f"{mark}{secrets.token_urlsafe(32)}")
    return secret, digest(secret)


def digest(secret: str) -> str:
    """Return what is kept of a secret. It is random, so no salt and no slow hash are needed."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


def csrf_of(session: str) -> str:
    """Return the token a page shows with each order, made of its session's secret."""
    return hashlib.sha256(f"csrf {session}".encode("utf-8", "replace")).hexdigest()
