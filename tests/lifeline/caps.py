"""CAP messages as a bureau sends them, for the tests of official warnings."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

CHINA = timezone(timedelta(hours=8))
BUREAU = "zz@weather.example"


def at(hours: float = 0) -> datetime:
    return datetime.now(UTC).astimezone(CHINA).replace(microsecond=0) + timedelta(hours=hours)


def info(
    *,
    language="zh-CN",
    event="暴雨",
    headline="郑州市气象台发布暴雨橙色预警信号",
    severity="Severe",
    issuer="郑州市气象台",
    lasts_h=6.0,
    onset="",
    areas="",
    sent=None,
):
    sent = sent or at()
    ends = (sent + timedelta(hours=lasts_h)).isoformat()
    return f"""<info><language>{language}</language><category>Met</category><event>{event}</event>
<urgency>Immediate</urgency><severity>{severity}</severity><certainty>Likely</certainty>{onset}
<expires>{ends}</expires><senderName>{issuer}</senderName><headline>{headline}</headline>
<description>未来3小时内降雨量将达50毫米以上。</description>{areas}</info>"""


AREA = """<area><areaDesc>金水区</areaDesc>
<polygon>34.7,113.6 34.7,113.8 34.9,113.8 34.7,113.6</polygon>
<geocode><valueName>ADCODE</valueName><value>410105</value></geocode></area>
<area><areaDesc>二七区</areaDesc></area>"""


def cap(
    identifier="zz-001",
    *,
    sender=BUREAU,
    kind="Alert",
    status="Actual",
    references=(),
    infos=None,
    sent=None,
    before="",
) -> bytes:
    sent = sent or at()
    said = "".join(infos) if infos is not None else info(areas=AREA, sent=sent)
    old = "".join(f"{sender},{name},{sent.isoformat()} " for name in references)
    named = f"<references>{old.strip()}</references>" if references else ""
    return f"""{before}<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2">
<identifier>{identifier}</identifier><sender>{sender}</sender><sent>{sent.isoformat()}</sent>
<status>{status}</status><msgType>{kind}</msgType><scope>Public</scope>{named}{said}</alert>
""".encode()
