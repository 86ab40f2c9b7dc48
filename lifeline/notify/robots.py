"""Robots of chat groups: WeCom, DingTalk and Feishu, each in its documented format.

WeCom 企业微信   ``…/cgi-bin/webhook/send?key=…``; no signature, its address alone; 20 a minute,
                 2 048 bytes.
DingTalk 钉钉    ``…/robot/send?access_token=…``; ``timestamp`` (ms) and ``sign`` in the query; 20 a
                 minute, then quiet for ten.
Feishu 飞书      ``…/open-apis/bot/v2/hook/…``; ``timestamp`` (s) and ``sign`` in the body; 100 a
                 minute, 5 a second.

After developer.work.weixin.qq.com/document/path/91770 and 90313 (codes),
open.dingtalk.com/document/robots/custom-robot-access and open.feishu.cn/document (custom bot).
All answer HTTP 200 with a code in the body, also for a refusal. Whoever knows the address speaks
in the group: it is a secret like the key.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

import httpx

from lifeline.ledger import Outlet
from lifeline.notify.probes import connects
from lifeline.notify.sending import (
    TAKEN,
    Answer,
    Limits,
    Message,
    by_status,
    http_client,
    later,
    refused,
    unanswered,
)
from lifeline.notify.wording import cut, lines, title

if TYPE_CHECKING:
    from lifeline.ledger import Ledger
    from lifeline.notify.wording import Language

Kind = Literal["wecom", "dingtalk", "feishu"]
LIMITED_S: Final = {
    # Too many calls, too many at once, system busy.
    "wecom": {45009: 60.0, 45033: 10.0, -1: 5.0},
    # More than 20 a minute: quiet for ten; too fast for the whole firm; system busy.
    "dingtalk": {130101: 600.0, 410100: 600.0, -1: 5.0},
    # Of the tenant's messages, of the gateway.
    "feishu": {11232: 60.0, 99991400: 60.0},
}
"""Codes that say "too fast" or "busy", and how many seconds to be quiet then."""
FINAL: Final = {
    # Message type, empty, too long, parameter, no JSON.
    "wecom": frozenset({40008, 44004, 45002, 40058, 47001}),
    # No message, its type; links, words, pictures and contents it finds unsafe; too long.
    "dingtalk": frozenset({40035, 400105, 430101, 430102, 430103, 430104, 460101}),
    # Bad request.
    "feishu": frozenset({9499}),
}
"""Codes about this message. All else (key, address, keyword, addresses) can be put right."""
_NO_ROBOT: Final = "url_file does not hold the address of a robot (机器人地址无效)"
_REMEDIES: Final = {
    ("wecom", 93000): _NO_ROBOT,
    ("dingtalk", 310000): "secret_file, keywords or allowed addresses (加签、关键词、IP 白名单)",
    ("dingtalk", 300001): _NO_ROBOT,
    ("dingtalk", 400101): _NO_ROBOT,
    ("dingtalk", 400102): "the robot is switched off in its group (机器人已停用)",
    ("dingtalk", 400013): "the group is gone (群已解散)",
    ("feishu", 19001): _NO_ROBOT,
    ("feishu", 19021): "secret_file, or this machine's clock (签名校验失败或时钟偏差)",
    ("feishu", 19022): "this machine's address is not on the robot's list (IP 白名单)",
    ("feishu", 19024): "the robot wants keywords that messages lack (关键词)",
}
_BYTES: Final = {"wecom": 2_048, "dingtalk": 18_000, "feishu": 18_000}


@dataclass(frozen=True, slots=True, kw_only=True)
class RobotSettings:
    """One robot of one group. ``url`` is a secret; ``secret`` "" = it checks no signature."""

    name: str
    kind: Kind
    url: str = field(repr=False)
    secret: str = field(default="", repr=False)
    language: Language = "zh"
    ca_file: str | None = None
    min_severity: int = 2
    per_minute: int = 18  # two below what the robots allow: clocks differ

    @property
    def outlet(self) -> Outlet:
        """Return the outlet; of escalations it hears those that name it."""
        return Outlet(name=self.name, min_severity=self.min_severity, calls=False)

    @property
    def limits(self) -> Limits:
        """Return how much it may say."""
        return Limits(per_minute=self.per_minute)

    def sender(self, ledger: Ledger) -> Robot:
        """Return the way out."""
        return Robot(ledger, self)

    def probe(self) -> str:
        """Return why its server does not answer, "" if it does; nothing is said in the group."""
        return connects(self.url, self.ca_file)


def dingtalk_sign(secret: str, timestamp_ms: int) -> str:
    """Return DingTalk's signature: base64 of HMAC-SHA256 over ms, line end, secret."""
    said = f"{timestamp_ms}\n{secret}".encode()
    return base64.b64encode(hmac.new(secret.encode(), said, hashlib.sha256).digest()).decode()


def feishu_sign(secret: str, timestamp_s: int) -> str:
    """Return Feishu's signature: the same of nothing, keyed by seconds, line end, secret."""
    key = f"{timestamp_s}\n{secret}".encode()
    return base64.b64encode(hmac.new(key, b"", hashlib.sha256).digest()).decode()


class Robot:
    """Says each row in its group."""

    def __init__(self, ledger: Ledger, settings: RobotSettings) -> None:
        self._ledger, self._settings = ledger, settings
        self._client = http_client(ca_file=settings.ca_file)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def turn(self) -> str:
        """Nothing: it is told events."""
        return ""

    def deliver(self, message: Message) -> Answer:
        """Say one row."""
        settings = self._settings
        url, body = asked(settings, message.told, self._ledger.wall_ns())
        try:
            answer = self._client.post(url, json=body)
        except httpx.HTTPError as error:
            return unanswered(error, settings.url)
        if not answer.is_success:
            return by_status(answer)
        return understood(settings.kind, answer)


def asked(
    settings: RobotSettings, told: dict[str, Any], now_ns: int
) -> tuple[httpx.URL, dict[str, Any]]:
    """Return the address and body of a request, signed where there is a secret."""
    url = httpx.URL(settings.url)
    text = cut("\n".join(lines(told, settings.language)), _BYTES[settings.kind])
    if settings.kind == "wecom":
        return url, {"msgtype": "text", "text": {"content": text}}
    if settings.kind == "dingtalk":
        if settings.secret:
            stamp = now_ns // 1_000_000
            sign = dingtalk_sign(settings.secret, stamp)
            url = url.copy_merge_params({"timestamp": str(stamp), "sign": sign})
        heading = cut(title(told, settings.language), 200)
        # Markdown there joins lines that are not apart; the title is what a locked phone shows.
        told_text = {"title": heading, "text": text.replace("\n", "\n\n")}
        return url, {"msgtype": "markdown", "markdown": told_text}
    body: dict[str, Any] = {"msg_type": "text", "content": {"text": text}}
    if settings.secret:
        stamp = now_ns // 10**9
        body = {"timestamp": str(stamp), "sign": feishu_sign(settings.secret, stamp)} | body
    return url, body


def understood(kind: Kind, answer: httpx.Response) -> Answer:
    """Return what a robot's own code means for a message."""
    try:
        said = answer.json()
        code = int(said["code" if kind == "feishu" and "code" in said else _CODE[kind]])
    except (ValueError, KeyError, TypeError):
        return later(f"not an answer of a robot: {answer.text[:200]!r}; is url_file right?")
    if code == 0:
        return TAKEN
    reason = f"{kind} {code} {said.get('errmsg') or said.get('msg') or ''}".rstrip()
    remedy = _REMEDIES.get((kind, code), "")
    reason += f"; check: {remedy}" if remedy else ""
    if code in FINAL[kind]:
        return refused(reason)
    return later(reason, LIMITED_S[kind].get(code, 0.0))


_CODE: Final = {"wecom": "errcode", "dingtalk": "errcode", "feishu": "StatusCode"}
