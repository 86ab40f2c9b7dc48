"""Whether somebody listens where an outlet sends to, asked without telling anything."""

from __future__ import annotations

import socket

import httpx

from ingest.secret_words import without_secrets
from ingest.tls import secured, tls_trouble, trusting

TIMEOUT_S = 3.0


def connects(url: str, ca_file: str | None) -> str:
    """Return why no connection (with https: no TLS) comes to the host of ``url``, "" if one does.

    Nothing is sent: a robot's address would take anything for a message.
    """
    where = httpx.URL(url)
    secure = where.scheme == "https"
    port = where.port or (443 if secure else 80)
    try:
        with socket.create_connection((where.host, port), TIMEOUT_S) as wire:
            if secure:
                secured(wire, where.host, trusting(ca_file)).close()
    except OSError as error:
        said = tls_trouble(error, where.host) or f"no answer ({error.strerror or error})"
        return without_secrets(f"{where.host}:{port}: {said}")
    return ""
