"""A message as people read it in a chat or a mail: Chinese, English, or both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

from lifeline.console.sentences import LEVEL_WORDS

if TYPE_CHECKING:
    from collections.abc import Mapping

Language = Literal["zh", "en", "both"]
TYPE_WORDS: Final = {
    "RAISED": ("alarm", "报警"),
    "ESCALATED": ("worse", "升级"),
    "LOWERED": ("lower", "降级"),
    "CLEARED": ("returned", "恢复"),
    "CONFIRMED": ("confirmed", "确认属实"),
    "LATE_FINDING": ("late finding", "迟到数据报警"),
    "ACKED": ("acknowledged", "已确认"),
    "ACK_REVOKED": ("acknowledgement taken back", "撤销确认"),
    "CALLED": ("nobody has acknowledged", "无人确认，呼叫升级"),
    "REALARMED": ("still stands", "仍未消除，再次报警"),
    "SHELVED": ("shelved", "搁置"),
    "UNSHELVED": ("no longer shelved", "取消搁置"),
    "UNSUPPRESSED": ("no longer held back", "解除抑制"),
    "IN_SERVICE": ("in service again", "恢复运行"),
    "RULE_CHANGED": ("its rule changed", "规则变更"),
    "RESET": ("reset", "复位"),
    "FLOOD": ("flood of alarms", "报警泛滥"),
    "FLOOD_OVER": ("flood over", "报警泛滥结束"),
    "ENDED": ("over", "结束"),
}


def title(body: Mapping[str, Any], language: Language) -> str:
    """Return one line: how bad, what happened, and what the alarm says."""
    if language == "both":
        return title(body, "zh")
    which = 1 if language == "zh" else 0
    kind = str(body.get("type", ""))
    word = TYPE_WORDS.get(kind, (kind.lower(), kind))[which]
    level = LEVEL_WORDS[language][min(int(body.get("severity", 0)), 4)]
    said = body.get("sentence", {}).get(language) or f"{body.get('rule')} {body.get('subject')}"
    if language == "zh":
        return one_line(f"【{level}色{word}】{said}" if level else f"【{word}】{said}")
    return one_line(f"[{level} {word}] {said}" if level else f"[{word}] {said}")


def lines(body: Mapping[str, Any], language: Language) -> list[str]:
    """Return the message: its title and what else a person needs, in one or both languages."""
    if language == "both":
        return [*lines(body, "zh"), "", *lines(body, "en")]
    zh = language == "zh"
    held = [title(body, language)]
    if (incident := body.get("incident")) and incident["members"] > 1:
        held.append(_of_incident(incident, zh=zh))
    if called := body.get("escalation", {}).get("to"):
        held.append(f"{'呼叫' if zh else 'called'}: {', '.join(called)}")
    if body.get("audience") == "crew":
        crew = ", ".join(body.get("crew", ())) or ("现场人员" if zh else "who works there")
        held.append(f"{'检修中，告知' if zh else 'in maintenance, told to'}: {crew}")
    book = body.get("runbook_title", {}).get(language) or body.get("runbook")
    if book:
        held.append(f"{'处置预案' if zh else 'runbook'}: {one_line(str(book))}")
    held.append(f"{'消息编号' if zh else 'message'}: {body.get('id')} {body.get('alarm', '')}")
    return held


def _of_incident(incident: Mapping[str, Any], *, zh: bool) -> str:
    """Say that other alarms have the same cause; one that joins calls for the incident again."""
    name, alarms = incident["id"], incident["members"]
    if incident["joined"]:
        return (
            f"新报警加入事件 {name}，共 {alarms} 条" if zh
            else f"joins incident {name}, {alarms} alarms now"
        )  # fmt: skip
    return f"事件 {name}，共 {alarms} 条报警" if zh else f"incident {name}, {alarms} alarms"


def one_line(text: str) -> str:
    """Return a text without line ends and control characters: it heads mails and chats."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def cut(text: str, most: int) -> str:
    """Return a text of at most ``most`` bytes of UTF-8, cut between characters."""
    raw = text.encode()
    if len(raw) <= most:
        return text
    return raw[: most - 3].decode(errors="ignore") + "…"
