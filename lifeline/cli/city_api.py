"""A running city's API for the command line: its address, a token from a file or the environment.

The token stands in no argument, where the list of processes would show it.
"""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

if TYPE_CHECKING:
    import httpx

TOKEN_VARIABLE: Final = "LIFELINE_TOKEN"  # noqa: S105 - the variable's name
TIMEOUT_S: Final = 20.0

Server = Annotated[
    str,
    typer.Option(
        envvar="LIFELINE_SERVER",
        help="The page's address, https://…: ask the running city instead of the folder.",
    ),
]
TokenFile = Annotated[
    Path | None,
    typer.Option(help=f"The file with your token; left out, the variable {TOKEN_VARIABLE}."),
]
CaFile = Annotated[
    Path | None, typer.Option(help="The authority of the page's certificate, if of your own.")
]


@dataclass(frozen=True, slots=True, kw_only=True)
class CityApi:
    """One city's API; every method raises Unreachable, or Rejected with the server's words."""

    server: str
    token_file: Path | None = None
    ca_file: Path | None = None

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        """Return what a route tells."""
        return self._ask("GET", path, params=query)

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Return what an order's route answers."""
        return self._ask("POST", path, json=body)

    def order(self, alarm_id: str, verb: str, body: dict[str, Any]) -> dict[str, Any]:
        """Give an order of an alarm, and return the alarm as it stands then."""
        alarm: dict[str, Any] = self.post(f"/api/alarms/{alarm_id}/{verb}", body)["alarm"]
        return alarm

    def alarm(self, alarm_id: str) -> dict[str, Any]:
        """Return an alarm as it stands."""
        alarm: dict[str, Any] = self.get(f"/api/alarms/{alarm_id}")["alarm"]
        return alarm

    def _ask(self, method: str, path: str, **how: Any) -> dict[str, Any]:
        import httpx

        from lifeline.errors import Rejected, Unreachable

        try:
            with self._client() as client:
                answer = client.request(method, path, **how)
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            said = f"{self.server}: {type(error).__name__}: {error}; is the city running there?"
            raise Unreachable(said) from error
        try:
            told = answer.json()
        except ValueError:
            told = {}
        if answer.is_success and isinstance(told, dict):
            return told
        wrong = told.get("error", {}) if isinstance(told, dict) else {}
        said = wrong.get("message") or f"HTTP {answer.status_code}, and no answer of ours"
        raise Rejected(f"{self.server}: {said}", *filter(None, [wrong.get("remedy", "")]))

    def _client(self) -> httpx.Client:
        import httpx

        from lifeline.errors import Missing

        if not self.server.startswith(("http://", "https://")):
            said = f"--server {self.server!r}: write https://host:port, or http:// on this machine"
            raise Missing(said)
        try:
            trusted = ssl.create_default_context(cafile=str(self.ca_file) if self.ca_file else None)
        except (OSError, ssl.SSLError) as error:
            raise Missing(f"--ca-file {self.ca_file}: {error}") from error
        return httpx.Client(
            base_url=self.server.rstrip("/"),
            headers={"Lifeline-Token": token} if (token := self._token()) else {},
            timeout=TIMEOUT_S,
            verify=trusted,
            trust_env=False,
        )

    def _token(self) -> str:
        """Return the token, "" where the page may ask for none.

        Raises
        ------
        Missing
            The file cannot be read, or the token would go over the net in the clear.
        """
        from ingest.secret_words import noted
        from lifeline.errors import Missing

        if self.token_file is None:
            token = os.environ.get(TOKEN_VARIABLE, "").strip()
        else:
            try:
                token = self.token_file.read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                raise Missing(f"--token-file {self.token_file}: {error}") from error
        if token and not token.isascii():
            raise Missing("the token has characters that no token has; copy the file's line")
        plain = self.server.startswith("http://")
        if token and plain and not _on_this_machine(self.server):
            raise Missing(f"{self.server}: a token goes to another machine over https:// only")
        return noted(token)


def _on_this_machine(server: str) -> bool:
    from urllib.parse import urlsplit

    from lifeline.settings.tls_option import LOOPBACK

    return LOOPBACK.fullmatch(urlsplit(server).hostname or "") is not None
