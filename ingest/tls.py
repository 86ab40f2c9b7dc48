"""TLS towards a server, and why it failed: in words that say what to do, not in OpenSSL's."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

_EXPIRED, _EARLY = 10, 9  # X509_V_ERR_… of OpenSSL
_OTHER_NAME: Final = (62, 64)
_STRANGER: Final = (18, 19, 20, 21)
_MOST_CAUSES: Final = 32
_NO_TLS: Final = (
    "it ends the connection during TLS (是否启用 TLS？); does it speak TLS at this port?"
)


def machine_authorities() -> str:
    """Return the machine's own authorities, as a file."""
    return ssl.get_default_verify_paths().cafile or "/etc/ssl/certs/ca-certificates.crt"


def client_context(ca_file: str | None) -> ssl.SSLContext:
    """Return what trusts the authorities of ``ca_file`` alone, or the machine's where it is None.

    The server's name and the dates of its certificate are looked at, TLS 1.2 is the oldest taken.
    """
    context = ssl.create_default_context(cafile=ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def trusting(ca_file: str | None) -> ssl.SSLContext:
    """Return what trusts the machine's authorities (some servers are elsewhere) and one more."""
    context = client_context(None)
    if ca_file is not None:
        context.load_verify_locations(ca_file)
    return context


def secured(plain: socket.socket, host: str, context: ssl.SSLContext) -> ssl.SSLSocket:
    """Return the connection over TLS; ssl.SSLError also where the server ends it meanwhile."""
    try:
        return context.wrap_socket(plain, server_hostname=host)
    except ConnectionResetError as error:
        raise ssl.SSLEOFError(str(error)) from error


def tls_trouble(error: BaseException, host: str, *, connecting: bool = False) -> str:
    """Return what is wrong with the TLS of ``host`` and what to do; "" where TLS is not the cause.

    Libraries wrap what ssl raises, each in its own way: all causes of ``error`` are looked at.
    ``connecting`` = over TLS, and not yet connected: a reset is then an answer to TLS.
    """
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return _certificate(cause, host)
        if isinstance(cause, ssl.SSLEOFError) or "EOF" in str(getattr(cause, "reason", "")):
            return _NO_TLS
        if isinstance(cause, ssl.SSLError):
            reason = str(cause.reason or cause)
            if reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG"):
                return "it speaks no TLS at this port (该端口未启用 TLS); give the port that does"
            return f"TLS fails ({reason}); see the log of {host}"
        if connecting and isinstance(cause, ConnectionResetError):
            return _NO_TLS
    return ""


def _certificate(error: ssl.SSLCertVerificationError, host: str) -> str:
    code = error.verify_code
    if code == _EXPIRED:
        said = "its certificate, or that of its authority, has ended (证书已过期); make it anew: "
        return said + "lifeline site certificates --renew, then restart the server"
    if code == _EARLY:
        return "its certificate holds only later (证书尚未生效); are the clocks of both right?"
    if code in _OTHER_NAME:
        said = f"its certificate is not for {host} (证书与主机名不符); write the name that it "
        return said + f"bears, or: lifeline site certificates --renew --host {host}"
    if code in _STRANGER:
        said = "its certificate is not of an authority that we trust (证书颁发者不受信任); "
        return said + "ca_file must name the authority that made it"
    return f"its certificate is refused ({error.verify_message}); see lifeline site certificates"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the error and what it was made of, each once."""
    seen: set[int] = set()
    waiting: list[object] = [error]
    while waiting and len(seen) < _MOST_CAUSES:
        held = waiting.pop(0)
        if not isinstance(held, BaseException) or id(held) in seen:
            continue
        seen.add(id(held))
        yield held
        waiting += [held.__cause__, held.__context__, getattr(held, "reason", None), *held.args]
