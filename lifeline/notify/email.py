"""E-mail: a message for each row, over SMTP with TLS, under one Message-ID in every repeat.

Messages of one alarm hang together (In-Reply-To), so a mailbox shows one thread an alarm. Codes
4xx are tried again, 5xx about the message are final; what refuses our login can be put right.
"""

from __future__ import annotations

import contextlib
import smtplib
import ssl
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.utils import formatdate, parseaddr
from typing import TYPE_CHECKING, Final, Literal

from ingest.tls import tls_trouble, trusting
from lifeline.ledger import Outlet
from lifeline.notify.sending import Answer, Fate, Limits, Message, later, refused
from lifeline.notify.wording import cut, lines, title

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lifeline.ledger import Ledger
    from lifeline.notify.wording import Language

Security = Literal["starttls", "tls", "plain"]
TIMEOUT_S: Final = 20.0
_CONTENT: Final = frozenset({552, 554, 555})  # size, content, parameters: about this message
_NO_LOGIN: Final = "it offers no login; take user away, or give the port that has it"


@dataclass(frozen=True, slots=True, kw_only=True)
class EmailSettings:
    """From whom to whom, by which server."""

    name: str
    host: str
    port: int
    sender_address: str
    to: tuple[str, ...]
    security: Security = "starttls"
    user: str = ""
    password: str = field(default="", repr=False)
    language: Language = "both"
    ca_file: str | None = None
    min_severity: int = 3
    per_minute: int = 30

    @property
    def outlet(self) -> Outlet:
        """Return the outlet; of escalations it hears those that name it."""
        return Outlet(name=self.name, min_severity=self.min_severity, calls=False)

    @property
    def limits(self) -> Limits:
        """Return how much is mailed: a mailbox with thousands is read by nobody."""
        return Limits(per_minute=self.per_minute)

    def sender(self, ledger: Ledger) -> Email:
        """Return the way out."""
        return Email(ledger, self)

    def probe(self) -> str:
        """Return why the server would not take us, "" if it does; nothing is mailed."""
        try:
            with _connected(self) as smtp:
                smtp.noop()
        except (OSError, smtplib.SMTPException) as error:
            return f"{self.host}:{self.port}: {trouble(self, error).reason}"
        return ""


class Email:
    """Mails each row; a connection a message: servers close idle ones, and alarms are rare."""

    def __init__(self, ledger: Ledger, settings: EmailSettings) -> None:
        self._ledger, self._settings = ledger, settings

    def close(self) -> None:
        """Nothing is held open."""

    def turn(self) -> str:
        """Nothing: it is told events."""
        return ""

    def deliver(self, message: Message) -> Answer:
        """Mail one row."""
        mail = mail_of(self._settings, message, self._ledger.wall_ns())
        try:
            with _connected(self._settings) as smtp:
                left_out = smtp.send_message(mail)
        except (OSError, smtplib.SMTPException) as error:
            return trouble(self._settings, error)
        return _partly(left_out) if left_out else Answer(Fate.DELIVERED)


@contextlib.contextmanager
def _connected(settings: EmailSettings) -> Iterator[smtplib.SMTP]:
    """Hold a connection on which we may send."""
    context = trusting(settings.ca_file)
    if settings.security == "tls":
        smtp: smtplib.SMTP = smtplib.SMTP_SSL(
            settings.host, settings.port, timeout=TIMEOUT_S, context=context
        )
    else:
        smtp = smtplib.SMTP(settings.host, settings.port, timeout=TIMEOUT_S)
    try:
        if settings.security == "starttls":
            smtp.starttls(context=context)
        if settings.user:
            smtp.login(settings.user, settings.password)
        yield smtp
    finally:
        with contextlib.suppress(OSError, smtplib.SMTPException):  # gone is what we want
            smtp.quit()
        smtp.close()


def mail_of(settings: EmailSettings, message: Message, now_ns: int) -> EmailMessage:
    """Return the mail of a row; the same row gives the same Message-ID."""
    told = message.told
    domain = parseaddr(settings.sender_address)[1].rpartition("@")[2] or "lifeline"
    outlet = settings.name.replace(":", ".")
    mail = EmailMessage()
    mail["Subject"] = cut(title(told, settings.language), 400)
    mail["From"] = settings.sender_address
    mail["To"] = ", ".join(settings.to)
    mail["Date"] = formatdate(now_ns / 1e9)
    mail["Message-ID"] = f"<{message.seq}.{outlet}@{domain}>"
    mail["Lifeline-Id"] = str(message.seq)
    if alarm := told.get("alarm"):
        thread = f"<{alarm}.{outlet}@{domain}>"
        mail["In-Reply-To"], mail["References"] = thread, thread
    mail["Auto-Submitted"] = "auto-generated"  # no "out of office" comes back
    if int(told.get("severity", 0)) >= 3:  # orange and red
        mail["Importance"], mail["X-Priority"] = "high", "1"
    mail.set_content("\n".join(lines(told, settings.language)) + "\n", cte="base64")
    return mail


def trouble(settings: EmailSettings, error: OSError | smtplib.SMTPException) -> Answer:
    """Return what an error means for a message, in words."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return _partly(error.recipients, none=True)
    if isinstance(error, smtplib.SMTPNotSupportedError):
        said = "it offers no STARTTLS (服务器不支持 STARTTLS); set security or the port"
        return later(said if "STARTTLS" in str(error) else _NO_LOGIN)
    if isinstance(error, smtplib.SMTPAuthenticationError):
        said = f"it refuses our login: {_said(error.smtp_code, error.smtp_error)}"
        return later(f"{said}; check user and password_file")
    if isinstance(error, smtplib.SMTPResponseException):
        said = _said(error.smtp_code, error.smtp_error)
        return refused(said) if error.smtp_code in _CONTENT else later(said)
    if isinstance(error, ssl.SSLError) or not isinstance(error, smtplib.SMTPException):
        said = tls_trouble(error, settings.host, connecting=settings.security == "tls")
        return later(said or f"no answer ({error.strerror or error})")
    return later(f"{type(error).__name__}: {error}")


def _partly(left_out: Mapping[str, tuple[int, bytes]], *, none: bool = False) -> Answer:
    """Return what becomes of a mail that some recipients do not get.

    One that was refused for now lets it be mailed again to all, under the same Message-ID; one that
    was refused for good is told, and holds up nobody.
    """
    said = "; ".join(f"{who}: {_said(*why)}" for who, why in sorted(left_out.items()))
    if any(code < 500 for code, _ in left_out.values()):
        return later(f"not for now: {said}")
    if none:
        return refused(f"no recipient is taken: {said}; correct to")
    return Answer(Fate.DELIVERED, f"not to {said}"[:300])


def _said(code: int, words: bytes | str) -> str:
    text = words.decode(errors="replace") if isinstance(words, bytes) else words
    return f"{code} {text[:200]}"
