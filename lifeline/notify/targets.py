"""Whom a message went to, in words: steps name outlets and departments as the rules do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lifeline.settings.config import CityEntry

DEPARTMENTS: Final[dict[str, tuple[str, str]]] = {
    "emergency": ("emergency management", "应急管理"),
    "fire": ("fire service", "消防救援"),
    "police": ("police", "公安"),
    "traffic": ("traffic", "交通运输"),
    "weather": ("weather service", "气象"),
    "urban-management": ("urban management", "城市管理"),
    "utilities": ("utilities", "公用事业"),
}
"""Usual departments; a site's own names come first."""
KINDS: Final[dict[str, tuple[str, str]]] = {
    "console": ("the desk", "值班台"),
    "siren": ("siren", "警笛"),
    "webhook": ("webhook", "消息接口"),
    "mqtt": ("MQTT", "MQTT"),
    "alertmanager": ("Alertmanager", "Alertmanager"),
    "email": ("e-mail", "邮件"),
    "wecom": ("WeCom", "企业微信"),
    "dingtalk": ("DingTalk", "钉钉"),
    "feishu": ("Feishu", "飞书"),
    "sms": ("SMS", "短信"),
    "voice": ("phone call", "电话"),
}
"""What carries a message, and what a receiver of the webhook may know."""


def department_names(entry: CityEntry) -> dict[str, tuple[str, str]]:
    """Return the names of a checked ``city.toml``'s departments in both languages."""
    names = {}
    for name, each in entry.department.items():
        usual, usual_zh = DEPARTMENTS.get(name, (name, ""))
        names[name] = (each.name or usual, each.name_zh or usual_zh or each.name or name)
    return names


def target_words(target: str, departments: Mapping[str, tuple[str, str]]) -> dict[str, str]:
    """Return a target of a step in both languages; one that nobody knows stands as it is."""
    kind, _, name = target.partition(":")
    if kind == "department":
        en, zh = departments.get(name) or DEPARTMENTS.get(name) or (name, name)
        return {"en": en, "zh": zh}
    if kind not in KINDS:
        return {"en": target, "zh": target}
    en, zh = KINDS[kind]
    return {"en": f"{en} {name}".strip(), "zh": f"{zh} {name}".strip()}
