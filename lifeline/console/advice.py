"""What to do: the runbook where a rule names one, else a careful default sentence.

The defaults say nothing that switches a plant: verify, keep people away, tell who must know.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rules.language.runbooks import paragraphs

if TYPE_CHECKING:
    from lifeline.site import Site
    from rules.alarms import Alarm
    from rules.plan import ChannelRule, DeadmanRule

_GAS = (
    "Send a patrol with a detector; no flames, people away; check wells and cellars nearby.",
    "派巡检人员携便携式检测仪到现场复核；周边禁火、疏散人员，并排查相邻井室和地下空间。",
)
_SILENT = (
    "Nothing is known from there: check power and link, and watch it by other means.",
    "失联期间该处情况不明：检查供电和通信，恢复上报前改用其他方式监视。",
)
_DEFAULT = (
    "Verify on site or by a second sensor, then tell who is responsible for it.",
    "现场或用相邻传感器核实，并通知责任单位。",
)
_ADVICE: dict[tuple[str, str], tuple[str, str]] = {
    ("gas", "ch4"): _GAS,
    ("drain", "ch4"): _GAS,
    ("gallery", "ch4"): _GAS,
    ("gas", "pressure"): (
        "Compare with the stations next to it; ask gas dispatch whether work is under way.",
        "对照相邻调压站压力，向燃气调度核实是否有作业。",
    ),
    ("bridge", "gvw"): (
        "Look for a heavy vehicle on camera; ask the bridge's owner whether to limit traffic.",
        "调看视频确认重车，联系桥梁管养单位研判是否限行。",
    ),
    ("bridge", "*"): (
        "Compare the span's other sensors and the traffic; ask the bridge's owner to inspect.",
        "对照同跨其他测点和当时车流，通知桥梁管养单位检查。",
    ),
    ("water", "pressure"): (
        "Compare the area's flow and pressure for a burst; send a crew to the lowest pressure.",
        "对照本计量区流量与压力判断是否爆管，派抢修人员到压力最低处查漏。",
    ),
    ("water", "flow"): (
        "Compare the area's pressures and night flow; if pressure falls too, it is a burst.",
        "对照本计量区压力和夜间流量；若压力同时下降，按爆管处置。",
    ),
    ("drain", "ponding"): (
        "Look at the cameras; have the underpass closed before anyone drives in; check the pumps.",
        "调看视频，及时通知封闭下穿通道、阻止车辆驶入，并检查泵站运行。",
    ),
    ("drain", "rain"): (
        "Watch ponding and pump sumps around it; warn the drainage crews on duty.",
        "关注周边积水和泵站水位，提醒排水值班队伍备勤。",
    ),
    ("tunnel", "*"): (
        "Check the cameras and the ventilation; ask the tunnel's control room.",
        "调看视频、检查通风，并与隧道监控室核实。",
    ),
    ("gallery", "*"): (
        "Nobody enters before the air is measured; check ventilation and pumps of the section.",
        "未经气体检测不得进入；检查该段通风和排水设备。",
    ),
    ("heat", "*"): (
        "Compare supply and return; ask heat dispatch; look for steam or hot water in the street.",
        "对照供回水参数并联系供热调度，查看路面有无冒汽、热水外溢。",
    ),
}


def advice(alarm: Alarm, site: Site | None) -> dict[str, Any]:
    """Return what the page shows beside an alarm.

    ``en`` and ``zh`` are default sentences; ``runbook`` a name or an address, "" where no rule
    names one, ``steps`` its title and steps by language, None for addresses; ``maturity``,
    ``limits_from``, ``labels``, ``known_false_positives`` what the rule says of itself.
    """
    if site is None:
        en, zh = _DEFAULT
        return {"en": en, "zh": zh, "runbook": "", "exposed_people": 0, **_of_rule(None, None)}
    silent = site.deadman.get(alarm.rule)
    channel = site.registry.channel_row.get(alarm.subject)
    quantity = site.registry.channels.quantity[channel] if channel is not None else ""
    domain = site.domain_of(alarm.subject)
    found = _ADVICE.get((domain, quantity)) or _ADVICE.get((domain, "*")) or _DEFAULT
    en, zh = _SILENT if silent is not None else found
    rule = site.said_by(alarm)
    asset = site.asset_of(alarm.subject)
    people = int(site.registry.assets.exposed_people[asset]) if asset >= 0 else 0
    return {
        "en": en,
        "zh": zh,
        "runbook": rule.runbook if rule is not None else "",
        "exposed_people": people,
        **_of_rule(rule, site),
    }


def _of_rule(rule: ChannelRule | DeadmanRule | None, site: Site | None) -> dict[str, Any]:
    if rule is None or site is None:
        empty: dict[str, Any] = {"steps": None, "maturity": "", "limits_from": "", "labels": {}}
        return {**empty, "known_false_positives": []}
    book = site.plan.runbooks.get(rule.runbook)
    steps = None
    if book is not None:
        steps = {
            "en": {"title": book.title, "steps": paragraphs(book.en)},
            "zh": {"title": book.title_zh, "steps": paragraphs(book.zh)},
        }
    return {
        "steps": steps,
        "maturity": rule.status,
        "limits_from": rule.source_text,
        "labels": dict(rule.labels),
        "known_false_positives": list(rule.known_false_positives),
    }
