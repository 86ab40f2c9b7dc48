"""E-mail, against a real SMTP server (aiosmtpd) with TLS and logins."""

from __future__ import annotations

import ssl
from email import message_from_bytes, policy

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from ingest.secret_words import noted
from lifeline.notify.email import EmailSettings
from tests import servers
from tests.certified import good
from tests.lifeline.outlets import Desk, happened

USER, WORD = "alarms@city.example", noted("mail-word-5d41402abc4b")


class Mailboxes:
    """What arrives; ``refuse`` says an answer for a recipient, ``data`` one for the mail."""

    def __init__(self) -> None:
        self.mails = []
        self.refuse: dict[str, list[str]] = {}
        self.data: list[str] = []

    async def handle_RCPT(self, _server, _session, envelope, address, _options):  # noqa: N802
        waiting = self.refuse.get(address, [])
        if waiting:
            return waiting.pop(0)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server, _session, envelope):  # noqa: N802
        if self.data:
            return self.data.pop(0)
        mail = message_from_bytes(envelope.content, policy=policy.default)
        self.mails.append((tuple(envelope.rcpt_tos), mail))
        return "250 OK"


def login(_server, _session, _envelope, _mechanism, data):
    good = data.login == USER.encode() and data.password == WORD.encode()
    # As bad as a server can be: it repeats what it was given.
    told = None if good else f"535 5.7.8 {data.password.decode()} is wrong"
    return AuthResult(success=good, handled=False, message=told)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    held = good(tmp_path_factory.mktemp("tls") / "tls", "127.0.0.1")
    return (*held.of("page"), held.authority)


def serving(boxes, certificate, **more):
    cert, key, _ = certificate
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    usual = {"tls_context": context, "authenticator": login, "auth_required": True}
    usual |= {"auth_require_tls": True}
    return Controller(boxes, hostname="127.0.0.1", port=servers.free_port(), **usual | more)


@pytest.fixture
def boxes(certificate):
    held = Mailboxes()
    server = serving(held, certificate)
    server.start()
    held.port = server.port
    yield held
    server.stop()


def settings(boxes, certificate, **more) -> EmailSettings:
    held = {
        "name": "email:duty", "host": "127.0.0.1", "port": boxes.port, "user": USER,
        "password": WORD, "sender_address": "City Lifeline <alarms@city.example>",
        "to": ("duty@city.example", "lead@city.example"), "ca_file": str(certificate[2]),
    }  # fmt: skip
    return EmailSettings(**held | more)


@pytest.fixture
def desk(tmp_path, boxes, certificate):
    held = Desk(tmp_path, settings(boxes, certificate))
    yield held
    held.close()


def test_a_mail_says_the_alarm_in_both_languages_to_all_of_a_list(desk, boxes):
    desk.tell(happened("RAISED", 1, 4))
    assert desk.post.deliver_due() == 1
    ((to, mail),) = boxes.mails
    assert to == ("duty@city.example", "lead@city.example")
    assert mail["Subject"] == "【红色报警】甲烷 410100-gas-mh-000001/ch4-01/vol"
    text = mail.get_content()
    assert "【红色报警】甲烷" in text
    assert "[red alarm] methane at" in text
    assert (mail["Importance"], mail["Auto-Submitted"]) == ("high", "auto-generated")


def test_a_mail_is_repeated_under_one_id_until_it_is_taken_and_an_alarm_is_one_thread(desk, boxes):
    boxes.data = ["451 4.3.0 try later"]
    desk.tell(happened("RAISED", 1))
    assert desk.post.deliver_due() == 0
    assert "451" in desk.post.trouble
    desk.wall.pass_s(10)
    assert desk.post.deliver_due() == 1
    desk.tell(happened("CLEARED", 2, 0))
    assert desk.post.deliver_due() == 1
    (_, one), (_, two) = boxes.mails
    assert one["Message-ID"] == "<1.email.duty@city.example>"
    assert two["Message-ID"] == "<2.email.duty@city.example>"
    assert one["References"] == two["References"]


def test_a_mail_refused_for_what_it_holds_is_given_up(desk, boxes):
    boxes.data = ["554 5.7.1 no such things here"]
    desk.tell(happened("RAISED", 1), happened("RAISED", 2, episode=2))
    assert desk.post.deliver_due() == 1
    assert desk.statuses() == ["given_up", "delivered"]


def test_a_recipient_who_is_gone_is_told_and_holds_up_nobody(desk, boxes):
    boxes.refuse = {"lead@city.example": ["550 5.1.1 no such user"]}
    desk.tell(happened("RAISED", 1))
    assert desk.post.deliver_due() == 1
    assert boxes.mails[0][0] == ("duty@city.example",)
    assert "lead@city.example: 550" in desk.post.trouble


def test_a_recipient_who_is_full_for_now_gets_it_later(desk, boxes):
    boxes.refuse = {"lead@city.example": ["452 4.2.2 mailbox full"]}
    desk.tell(happened("RAISED", 1))
    assert desk.post.deliver_due() == 0
    desk.wall.pass_s(10)
    assert desk.post.deliver_due() == 1
    assert [to for to, _ in boxes.mails][-1] == ("duty@city.example", "lead@city.example")
    assert len({mail["Message-ID"] for _, mail in boxes.mails}) == 1


def test_where_no_recipient_is_known_the_mail_is_given_up(desk, boxes):
    gone = "550 5.1.1 no such user"
    boxes.refuse = {"lead@city.example": [gone], "duty@city.example": [gone]}
    desk.tell(happened("RAISED", 1))
    desk.post.deliver_due()
    assert desk.statuses() == ["given_up"]


def test_a_wrong_password_is_said_without_it_and_tried_again(tmp_path, boxes, certificate):
    wrong = noted("mail-word-but-another")
    held = settings(boxes, certificate, password=wrong)
    desk = Desk(tmp_path, held)
    desk.tell(happened("RAISED", 1))
    assert desk.post.deliver_due() == 0
    assert "refuses our login: 535" in desk.post.trouble
    assert "check user and password_file" in held.probe()
    for said in (desk.post.trouble, held.probe(), repr(desk.rows()), repr(held)):
        assert wrong not in said
    assert desk.statuses() == ["pending"]
    desk.close()


def test_a_server_is_asked_without_mailing_anything(boxes, certificate):
    assert settings(boxes, certificate).probe() == ""
    assert boxes.mails == []


def test_no_mail_and_no_password_goes_to_a_server_whose_certificate_is_not_trusted(
    tmp_path, boxes, certificate
):
    desk = Desk(tmp_path, settings(boxes, certificate, ca_file=None))
    desk.tell(happened("RAISED", 1))
    assert desk.post.deliver_due() == 0
    assert "not of an authority that we trust" in desk.post.trouble
    assert boxes.mails == []
    desk.close()


def test_a_server_without_starttls_gets_nothing(tmp_path, certificate):
    held = Mailboxes()
    more = {"tls_context": None, "auth_require_tls": False, "auth_required": False}
    server = serving(held, certificate, **more)
    server.start()
    held.port = server.port
    desk = Desk(tmp_path, settings(held, certificate))
    desk.tell(happened("RAISED", 1))
    assert desk.post.deliver_due() == 0
    assert "offers no STARTTLS" in desk.post.trouble
    desk.close()
    server.stop()
    assert held.mails == []


def test_a_server_that_is_not_there_is_said_and_tried_again(tmp_path, certificate, boxes):
    desk = Desk(tmp_path, settings(boxes, certificate, port=1))
    desk.tell(happened("RAISED", 1))
    assert desk.post.deliver_due() == 0
    assert "Connection refused" in desk.post.trouble
    assert desk.statuses() == ["pending"]
    desk.close()


def test_no_text_of_an_alarm_writes_a_header(desk, boxes):
    desk.tell(happened("RAISED", 1, subject="x\r\nBcc: thief@evil.example\r\n\r\nbody"))
    assert desk.post.deliver_due() == 1
    ((to, mail),) = boxes.mails
    assert mail["Bcc"] is None
    assert "thief@evil.example" not in to


def test_simulated_alarms_are_mailed_to_nobody(desk, boxes):
    desk.tell(happened("RAISED", 1, 4), simulation=True)
    assert desk.post.deliver_due() == 0
    assert boxes.mails == []
