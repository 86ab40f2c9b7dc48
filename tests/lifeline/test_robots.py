"""Robots of chat groups, against a server that checks what the real ones check."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from lifeline import metrics
from lifeline.notify.robots import RobotSettings, dingtalk_sign, feishu_sign
from tests.lifeline.outlets import Desk, happened

SECRET = "SEC-of-a-robot"  # noqa: S105 - of a robot of this test
WAYS = {
    "wecom": "/cgi-bin/webhook/send?key=key-of-wecom",
    "dingtalk": "/robot/send?access_token=token-of-dingtalk",
    "feishu": "/open-apis/bot/v2/hook/hook-of-feishu",
}


class Platform:
    """The three platforms: what is wrong they answer by their codes, always with HTTP 200."""

    def __init__(self) -> None:
        self.said: list[tuple[str, dict]] = []
        self.answers: list[dict] = []  # instead of what they would say
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                told = json.dumps(outer.answer(self.path, body)).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(told)))
                self.end_headers()
                self.wfile.write(told)

            def log_message(self, *_) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def answer(self, path: str, body: dict) -> dict:
        where = urlsplit(path)
        query = {name: values[0] for name, values in parse_qs(where.query).items()}
        if self.answers:
            return self.answers.pop(0)
        kind = where.path.split("/")[1]
        told = {"cgi-bin": self.wecom, "robot": self.dingtalk, "open-apis": self.feishu}[kind]
        answered = told(where.path, query, body)
        if 0 in answered.values():
            self.said.append((kind, body))
        return answered

    @staticmethod
    def wecom(_path, query, body) -> dict:
        if query.get("key") != "key-of-wecom":
            return {"errcode": 93000, "errmsg": "invalid webhook url"}
        if body["msgtype"] != "text":
            return {"errcode": 40008, "errmsg": "invalid message type"}
        if len(body["text"]["content"].encode()) > 2048:
            return {"errcode": 40058, "errmsg": "content exceed max length"}
        return {"errcode": 0, "errmsg": "ok"}

    @staticmethod
    def dingtalk(_path, query, body) -> dict:
        if query.get("access_token") != "token-of-dingtalk":
            return {"errcode": 300001, "errmsg": "token is not exist"}
        stamp = query.get("timestamp", "0")
        text = f"{stamp}\n{SECRET}".encode()
        wanted = base64.b64encode(hmac.new(SECRET.encode(), text, hashlib.sha256).digest())
        fresh = abs(time.time() * 1000 - int(stamp)) < 3_600_000
        if query.get("sign") != wanted.decode() or not fresh:
            return {"errcode": 310000, "errmsg": "sign not match"}
        if not body["markdown"]["title"] or not body["markdown"]["text"]:
            return {"errcode": 40035, "errmsg": "missing parameter"}
        return {"errcode": 0, "errmsg": "ok"}

    @staticmethod
    def feishu(path, _query, body) -> dict:
        if not path.endswith("/hook-of-feishu"):
            return {"code": 19001, "msg": "param invalid: incoming webhook access token invalid"}
        stamp = body.get("timestamp", "0")
        key = f"{stamp}\n{SECRET}".encode()
        wanted = base64.b64encode(hmac.new(key, digestmod=hashlib.sha256).digest()).decode()
        if body.get("sign") != wanted or abs(time.time() - int(stamp)) > 3_600:
            return {"code": 19021, "msg": "sign match fail or timestamp is not within one hour"}
        if body["msg_type"] != "text" or not body["content"]["text"]:
            return {"code": 9499, "msg": "Bad Request"}
        return {"StatusCode": 0, "StatusMessage": "success", "code": 0, "msg": "success"}


@pytest.fixture
def platform():
    held = Platform()
    yield held
    held.server.shutdown()
    held.server.server_close()


def robot(platform, kind, **more) -> RobotSettings:
    held = {"name": f"{kind}:gas", "kind": kind, "url": platform.url + WAYS[kind]}
    return RobotSettings(**held | ({} if kind == "wecom" else {"secret": SECRET}) | more)


@pytest.fixture
def desk(request, tmp_path):
    made = []

    def make(settings) -> Desk:
        made.append(Desk(tmp_path, settings))
        return made[-1]

    yield make
    for each in made:
        each.close()


def text_of(body: dict) -> str:
    return (body.get("text") or body.get("content") or body.get("markdown")).get("text") or body[
        "text"
    ]["content"]


@pytest.mark.parametrize("kind", WAYS)
def test_a_robot_says_the_alarm_in_its_group_and_its_signature_is_taken(platform, desk, kind):
    held = desk(robot(platform, kind))
    held.tell(happened("RAISED", 1))
    assert held.post.deliver_due() == 1
    ((_, body),) = platform.said
    assert "【橙色报警】甲烷 410100-gas-mh-000001/ch4-01/vol" in text_of(body)
    assert "消息编号: 1 " in text_of(body)


@pytest.mark.parametrize("kind", WAYS)
def test_a_robot_speaks_the_language_it_is_told(platform, desk, kind):
    held = desk(robot(platform, kind, language="both"))
    held.tell(happened("RAISED", 1, 4))
    held.post.deliver_due()
    text = text_of(platform.said[0][1])
    assert "【红色报警】" in text
    assert "[red alarm] methane at" in text


@pytest.mark.parametrize(
    ("kind", "said", "wait_s"),
    [
        ("wecom", {"errcode": 45009, "errmsg": "api freq out of limit"}, 60),
        ("dingtalk", {"errcode": 130101, "errmsg": "send too fast, exceed 20 times"}, 600),
        ("feishu", {"code": 11232, "msg": "frequency limited"}, 60),
    ],
)  # fmt: skip
def test_a_robot_that_is_told_too_much_is_left_alone_for_as_long_as_it_wants(
    platform, desk, kind, said, wait_s
):
    held = desk(robot(platform, kind))
    held.tell(happened("RAISED", 1), happened("RAISED", 2, episode=2))
    platform.answers = [said]
    assert held.post.deliver_due() == 0
    held.wall.pass_s(wait_s - 2)
    assert held.post.deliver_due() == 0, "neither this message nor the next one"
    assert held.statuses() == ["pending", "pending"]
    held.wall.pass_s(5)
    assert held.post.deliver_due() == 2
    assert [row[2] for row in held.rows()] == [2, 1]


@pytest.mark.parametrize(
    ("kind", "said", "remedy"),
    [
        ("wecom", {"errcode": 93000, "errmsg": "invalid webhook url"}, "url_file"),
        ("dingtalk", {"errcode": 310000, "errmsg": "sign not match"}, "secret_file"),
        ("feishu", {"code": 19021, "msg": "sign match fail"}, "secret_file"),
    ],
)
def test_a_wrong_key_is_said_with_its_remedy_and_tried_again(platform, desk, kind, said, remedy):
    held = desk(robot(platform, kind))
    held.tell(happened("RAISED", 1))
    platform.answers = [said]
    assert held.post.deliver_due() == 0
    assert held.statuses() == ["pending"]
    assert remedy in held.post.trouble
    held.wall.pass_s(10)
    assert held.post.deliver_due() == 1


def test_a_wrong_secret_is_refused_by_a_server_that_checks(platform, desk):
    for kind in ("dingtalk", "feishu"):
        held = desk(robot(platform, kind, secret=kind, name=f"{kind}:x"))
        held.tell(happened("RAISED", 1))
        assert held.post.deliver_due() == 0
        assert "sign" in held.post.trouble
        held.close()
    assert platform.said == []


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("wecom", {"errcode": 40008, "errmsg": "invalid message type"}),
        ("dingtalk", {"errcode": 40035, "errmsg": "missing parameter"}),
        ("feishu", {"code": 9499, "msg": "Bad Request"}),
    ],
)
def test_what_a_robot_will_never_say_is_given_up_with_the_reason(platform, desk, kind, said):
    held = desk(robot(platform, kind))
    held.tell(happened("RAISED", 1), happened("RAISED", 2, episode=2))
    platform.answers = [said]
    assert held.post.deliver_due() == 1
    assert held.statuses() == ["given_up", "delivered"]
    assert kind in held.rows()[0][3]


def test_an_answer_that_is_none_of_a_robot_s_is_tried_again(platform, desk):
    held = desk(robot(platform, "wecom"))
    held.tell(happened("RAISED", 1))
    platform.answers = [{"hello": "I am a proxy"}]
    assert held.post.deliver_due() == 0
    assert "not an answer of a robot" in held.post.trouble


def test_a_robot_is_told_no_more_a_minute_than_it_takes(platform, desk):
    held = desk(robot(platform, "wecom", per_minute=3))
    before = metrics.OUTBOX_PACED.labels("wecom:gas")._value.get()
    held.tell(*(happened("RAISED", n, 4, episode=n) for n in range(1, 6)))
    assert held.post.deliver_due() == 3
    assert held.post.deliver_due() == 0
    assert metrics.OUTBOX_PACED.labels("wecom:gas")._value.get() > before
    held.wall.pass_s(61)
    assert held.post.deliver_due() == 2


def test_a_long_text_is_cut_to_what_a_robot_takes(platform, desk):
    held = desk(robot(platform, "wecom"))
    held.tell(happened("RAISED", 1, rule="长" * 300, subject="阀" * 1500))
    assert held.post.deliver_due() == 1
    assert 2000 < len(platform.said[0][1]["text"]["content"].encode()) <= 2048


def test_simulated_and_suppressed_alarms_are_said_in_no_group(platform, desk):
    held = desk(robot(platform, "feishu"))
    held.tell(happened("RAISED", 1, 4), simulation=True)
    held.tell(happened("RAISED", 2, 4, episode=2, evidence={"held": [{"cause": "MW-1"}]}))
    assert held.post.deliver_due() == 0
    assert held.statuses() == ["withheld", "withheld"]
    assert platform.said == []


def test_the_signatures_are_those_of_an_independent_count():
    """openssl dgst -sha256 -hmac over the strings that the platforms' pages name."""
    assert dingtalk_sign("this is secret", 1_700_000_000_000) == DINGTALK
    assert feishu_sign("this is secret", 1_700_000_000) == FEISHU


DINGTALK = "sSFWELbV2YwjdDQhWZwTcWlX5BWUx5J6TPpsZmuPii0="
FEISHU = "OfGzRzoUICBOoc8wVra1e4A1hPfbZ9zqXozA8CWVUuY="
