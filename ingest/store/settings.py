"""Where points go and how: what a configuration file may say about the store."""

from __future__ import annotations

import os
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from ingest.secret_words import noted
from ingest.store.errors import TokenUnreadable


class InfluxSettings(BaseModel):
    """An InfluxDB 2.x bucket (or what speaks its write API). The token never stands in a file
    that is shared: it comes from ``token_file``, the variable named by ``token_env``, or, in
    programs, ``token``.
    """  # noqa: D205 - one thought

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str = Field(pattern=r"^https?://[^/\s]+(/[^\s?]*)?$")
    org: str = Field(default="", max_length=256)
    bucket: str = Field(min_length=1, max_length=256)
    waveforms: bool = False
    """Whether samples of waveforms are written too, to a bucket of their own."""
    token: SecretStr | None = None
    token_env: str = "LIFELINE_INFLUX_TOKEN"  # noqa: S105 - the variable's name
    token_file: Path | None = None
    verify_tls: bool = True
    ca_file: Path | None = None
    batch_rows: int = Field(default=10_000, ge=1, le=100_000)
    flush_interval_s: float = Field(default=1.0, ge=0.01, le=60)
    gzip: bool | None = None
    """None: only where the server is on another machine; the loopback is faster than any gzip."""
    timeout_s: float = Field(default=10.0, gt=0, le=300)
    first_retry_s: float = Field(default=0.5, gt=0, le=60)
    most_retry_s: float = Field(default=5.0, gt=0, le=3600)
    """So long after the server's return live readings may still wait: one request, cheap."""
    refused_retry_s: float = Field(default=5.0, gt=0, le=3600)
    """Between tries while the server refuses us (401, 404): a person has to act first."""

    @property
    def features_bucket(self) -> str:
        """Return where computed channels go."""
        return f"{self.bucket}_features"

    @property
    def waveforms_bucket(self) -> str:
        """Return where samples of waveforms go."""
        return f"{self.bucket}_waveforms"

    @property
    def compresses(self) -> bool:
        """Return whether requests go compressed."""
        return not _on_this_machine(self.url) if self.gzip is None else self.gzip

    def secret(self) -> str:
        """Return the token, or "" where there is none (a server that asks for none).

        Raises
        ------
        TokenUnreadable
            ``token_file`` cannot be read; with the remedy.
        """
        if self.token is not None:
            return noted(self.token.get_secret_value())
        if self.token_file is not None:
            try:
                return noted(self.token_file.read_text(encoding="utf-8").strip())
            except (OSError, UnicodeDecodeError) as error:
                raise TokenUnreadable(
                    f"{self.token_file}: the InfluxDB token cannot be read ({error}); "
                    "make the file readable for this user, holding the token and nothing else"
                ) from error
        return noted(os.environ.get(self.token_env, "").strip()) if self.token_env else ""

    def remedy(self, status: int) -> str:
        """Return what a person can do about a refusal with that HTTP status."""
        if status in (401, 403):
            wanted = f"a token with write access to bucket {self.bucket!r}"
            if self.token is not None:
                return f"Put {wanted} where the configuration takes it from, and restart."
            if self.token_file is not None:
                return f"Put {wanted} into {self.token_file}; it is read again."
            if self.token_env:
                return f"Put {wanted} into the environment variable {self.token_env}, and restart."
            return f"Name {wanted} by token_file or token_env in the configuration, and restart."
        if status == 404:
            made = f"Create bucket {self.bucket!r} in org {self.org!r}, or correct their names"
            return f"{made}: lifeline influx check tells which, lifeline influx setup creates it."
        return f"Is {self.url} an InfluxDB 2.x (or a proxy that passes /api/v2/write on)?"


def _on_this_machine(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
