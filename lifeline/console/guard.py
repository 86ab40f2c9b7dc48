"""From where the page may be talked to: this machine's own browser, or its own address over TLS.

A page on loopback is open to every web site the same browser visits: by DNS rebinding (their name,
our address: the Host header tells) and by cross-site requests (Origin, Sec-Fetch-Site and the
content type tell). From beyond loopback are answered: a reverse proxy with a login, which shows a
token that no browser has; with ``[login]`` and ``[tls]`` whoever calls the page by its own name;
and a program with an API token, which carries nothing that a web site could make use of. Who they
are is the next one's question (`access.py`). Plain ASGI, so that a stream is not buffered.
"""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

from starlette.datastructures import Headers

from lifeline import metrics
from lifeline.bulletins.cap_in import MAX_BYTES
from lifeline.console.access import shown_token
from lifeline.console.answers import problem
from lifeline.notify.cap import CONTENT_TYPE

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY_BYTES = 64 << 10
PHOTOS = re.compile(r"/api/field/[^/]+/photo")
"""Where bodies may be longer: `PHOTO_BODY_BYTES`, read only once the role is known."""
PHOTO_BODY_BYTES = 6 << 20
JSON: Final = "application/json"
_OTHER_FORMS: Final = {"/api/hooks/warnings": (CONTENT_TYPE, MAX_BYTES)}
"""Routes whose body is no JSON; of a type that no form of another page can send."""
Refused = tuple[str, int, str, dict[str, str]]
"""(reason as it is counted, status, message, what it names)."""


def security_headers(images: str = "") -> tuple[tuple[bytes, bytes], ...]:
    """Return what goes with every answer; ``images``: the one foreign origin they may come from."""
    policy = (
        f"default-src 'self'; img-src 'self' data: {images}".rstrip()
        + "; style-src 'self' 'unsafe-inline'; "
        "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    )
    return (
        (b"content-security-policy", policy.encode("ascii")),
        (b"x-content-type-options", b"nosniff"),
        (b"referrer-policy", b"no-referrer"),
        (b"cross-origin-resource-policy", b"same-origin"),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """A reverse proxy that asks people for a login and then speaks for them.

    It sends ``Authorization: Bearer <token>``; browsers see its page at ``origin``, an https one.
    Prometheus may show the same token.
    """

    origin: str
    token: str = field(repr=False)

    def shown(self, headers: Headers) -> bool:
        """Tell whether a request carries the token."""
        given = headers.get("authorization", "").encode()
        return hmac.compare_digest(given, f"Bearer {self.token}".encode())


def local_hosts(port: int) -> tuple[str, ...]:
    """Return the names a browser on this machine may call us by."""
    names = ("127.0.0.1", "localhost", "[::1]")
    return tuple(f"{name}:{port}" for name in names)


class Guard:
    """Refuses strangers with 401 or 403, too long bodies with 413; adds the security headers."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        hosts: tuple[str, ...],
        proxy: Proxy | None = None,
        scheme: str = "http",
        own: str = "",
        images: str = "",
    ) -> None:
        self._app = app
        self._headers = security_headers(images)
        self._own = own.lower()  # https://… as browsers see a page with a login of its own
        self._own_host = self._own.partition("://")[2]
        self._scheme = scheme
        self._hosts = frozenset(h.lower() for h in hosts)
        self._proxy = proxy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        scope.setdefault("state", {}).update(self._from(scope, headers))
        reason = self._refusal(scope, headers)
        if reason:
            metrics.HTTP_REFUSED.labels(reason[0]).inc()
            await problem(reason[1], reason[2], **reason[3])(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *self._headers]
            await send(message)

        await self._app(scope, receive, with_headers)

    def _from(self, scope: Scope, headers: Headers) -> dict[str, object]:
        """Return whether the browser speaks TLS, and the address it has: its proxy's word."""
        client = scope.get("client")
        address = client[0] if client is not None else ""
        if self._proxy is not None and self._proxy.shown(headers):
            told = headers.get("x-forwarded-for", "").rpartition(",")[2].strip()
            return {"secure": True, "address": told or address}
        return {"secure": self._scheme == "https", "address": address}

    def _refusal(self, scope: Scope, headers: Headers) -> Refused | None:
        """Return why a request is not let through."""
        ours = self._called(scope, headers)
        if not isinstance(ours, str):
            return ours
        if scope["method"] in ("GET", "HEAD"):
            return None
        return _foreign(headers, ours) or _unfit(headers, scope["path"])

    def _called(self, scope: Scope, headers: Headers) -> str | Refused:
        """Return the origin our own page has for who asks this, "" = it is no page."""
        host = headers.get("host", "").lower()
        if self._proxy is not None and self._proxy.shown(headers):
            return self._proxy.origin.lower()
        if self._own and host == self._own_host:
            return self._own
        if shown_token(headers):
            return ""  # a program: no web site makes a browser show a token
        if not _near(scope):
            said = {"field": "Authorization", "value": "", "remedy": "come through the proxy"}
            if self._own:
                said = {"field": "Host", "value": host, "remedy": f"open {self._own}/"}
            return "token", 401, "beyond loopback only the proxy with its token is answered", said
        if host not in self._hosts:
            remedy = f"open {self._scheme}://{min(self._hosts)}/"
            said = {"field": "Host", "value": host, "remedy": remedy}
            return "host", 403, "this page answers only to this machine's own names", said
        return f"{self._scheme}://{host}"


def _foreign(headers: Headers, ours: str) -> Refused | None:
    """Return why an order is another page's than ours."""
    origin = headers.get("origin", "").lower()
    if origin and origin != ours:
        said = {"field": "Origin", "value": origin, "remedy": "use the page itself"}
        return "origin", 403, "commands are taken from this page only", said
    site = headers.get("sec-fetch-site", "same-origin")
    if site not in ("same-origin", "none"):
        said = {"field": "Sec-Fetch-Site", "value": site, "remedy": "use the page itself"}
        return "site", 403, "commands are taken from this page only", said
    return None


def _unfit(headers: Headers, path: str) -> Refused | None:
    """Return what is wrong with the form of an order's body."""
    longest = PHOTO_BODY_BYTES if PHOTOS.fullmatch(path) else MAX_BODY_BYTES
    wanted, most = _OTHER_FORMS.get(path, (JSON, longest))
    kind = headers.get("content-type", "").split(";")[0].strip().lower()
    if kind != wanted:
        said = {"field": "Content-Type", "value": kind, "remedy": f"send Content-Type: {wanted}"}
        return "type", 415, "commands are JSON" if wanted == JSON else f"this is {wanted}", said
    length = headers.get("content-length", "")
    if "transfer-encoding" in headers:  # it wins over a length: the body has any
        length = ""
    if not length.isdigit() or int(length) > most:
        remedy = f"send a Content-Length of at most {most}"
        said = {"field": "Content-Length", "value": length, "remedy": remedy}
        return "length", 413, "the body is too long or of unknown length", said
    return None


def _near(scope: Scope) -> bool:
    """Tell whether the connection itself comes from this machine; headers cannot say so."""
    client = scope.get("client")
    return client is not None and ip_address(client[0]).is_loopback
