"""What a column of a table may say: names in English and Chinese, and how its cells are read.

A row is a channel (asset, sensor, channel and who speaks for it), or, without sensor and channel,
an asset or a device alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Of = Literal["site", "asset", "device", "sensor", "channel", "row"]
Reads = Literal[
    "id", "text", "word", "number", "whole", "duration", "date", "unit", "quantity", "json",
    "numbers",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Field:
    """One field: what it is of, its key in the registry's files, how its cells read."""

    name: str
    of: Of
    key: str
    reads: Reads
    also: tuple[str, ...]  # other headers, as people write them
    words: tuple[tuple[str, tuple[str, ...]], ...] = ()  # of "word": value and its other names


_STATES: Final = (
    ("planned", ("规划", "计划", "拟建", "待安装")),
    ("installed", ("已安装", "安装")),
    ("accepted", ("已验收", "验收")),
    ("in_service", ("在用", "运行", "在役", "in service", "启用")),
    ("retired", ("退役", "停用", "报废", "拆除")),
)
_ALL: Final = (
    Field("site", "asset", "site", "id", ("site_id", "站点编号", "站点", "片区编号")),
    Field("site_name", "site", "name", "text", ("site name", "站点英文名")),
    Field("site_name_zh", "site", "name_zh", "text", ("站点名称", "片区名称")),
    Field("asset", "asset", "id", "id", ("asset_id", "资产编号", "设施编号", "点位编号", "资产")),
    Field("asset_type", "asset", "type", "id", ("type", "资产类型", "设施类型", "点位类型")),
    Field("name", "asset", "name", "text", ("asset_name", "英文名称", "英文名")),
    Field("name_zh", "asset", "name_zh", "text", ("资产名称", "设施名称", "名称", "点位名称")),
    Field("district", "asset", "district", "text", ("行政区", "区县", "所属区域", "所属区")),
    Field("zone", "asset", "zone", "text", ("分区", "分区编号", "片区")),
    Field("longitude", "asset", "at", "number", ("lon", "lng", "x", "经度", "东经")),
    Field("latitude", "asset", "at", "number", ("lat", "y", "纬度", "北纬")),
    Field("exposed_people", "asset", "exposed_people", "whole", ("people", "影响人数", "人口")),
    Field("attributes", "asset", "attributes", "json", ("属性", "资产属性")),
    Field("asset_tags", "asset", "tags", "json", ("资产标签",)),
    Field("device", "device", "id", "id", ("device_id", "设备编号", "设备id", "终端编号")),
    Field(
        "kind", "device", "kind", "word", ("device_kind", "设备类别", "设备类型"),
        (("gateway", ("网关",)), ("module", ("模块", "终端", "nb模块", "nb-iot模块"))),
    ),
    Field(
        "transport", "device", "transport", "word", ("传输方式", "通信方式", "通讯方式"),
        (("mqtt", ()), ("coap", ("nb-iot", "nbiot"))),
    ),
    Field(
        "codec", "device", "codec", "word", ("报文格式", "编码", "协议"),
        (("compact", ("紧凑",)), ("senml", ()), ("json", ())),
    ),
    Field("device_asset", "device", "asset", "id", ("mounted_on", "安装资产", "设备安装位置")),
    Field("device_every", "device", "every", "duration", ("report_every", "上报周期", "上报间隔")),
    Field("device_state", "device", "state", "word", ("设备状态",), _STATES),
    Field("sensor", "sensor", "id", "id", ("sensor_id", "传感器编号", "传感器", "传感器id")),
    Field("channel", "channel", "id", "id", ("channel_id", "通道编号", "通道", "测点编号", "测点")),
    Field("quantity", "channel", "quantity", "quantity", ("监测量", "监测指标", "监测参数")),
    Field("unit", "channel", "unit", "unit", ("单位", "计量单位")),
    Field("port", "channel", "port", "whole", ("端口", "通道号", "端口号")),
    Field("key", "channel", "key", "text", ("json_key", "字段名", "字段")),
    Field("range_low", "channel", "range", "number", ("range_min", "量程下限", "量程低")),
    Field("range_high", "channel", "range", "number", ("range_max", "量程上限", "量程", "量程高")),
    Field("resolution", "channel", "resolution", "number", ("分辨率", "分辨力", "精度")),
    Field("every", "channel", "every", "duration", ("interval", "采样周期", "采集周期")),
    Field(
        "class", "channel", "class", "word", ("klass", "级别", "通道类别", "用途"),
        (("safety", ("安全",)), ("maintenance", ("维护", "运维")), ("info", ("信息", "参考"))),
    ),
    Field("lel_basis", "channel", "lel_basis", "number", ("爆炸下限", "lel基准")),
    Field("fault_codes", "channel", "fault_codes", "numbers", ("故障码", "故障代码")),
    Field("derived", "channel", "derived", "json", ("派生", "特征")),
    Field("state", "channel", "state", "word", ("状态", "通道状态", "使用状态"), _STATES),
    Field("calibrated_on", "channel", "calibrated_on", "date", ("校准日期", "检定日期")),
    Field(
        "calibration_due", "channel", "calibration_due", "date",
        ("校准有效期", "校准到期日", "检定有效期", "下次校准日期", "有效期至"),
    ),
    Field("tags", "channel", "tags", "json", ("标签", "通道标签")),
    Field("replaces", "row", "replaces", "id", ("replaces_device", "替换设备", "被替换设备编号")),
)  # fmt: skip
FIELDS: Final[dict[str, Field]] = {field.name: field for field in _ALL}
IGNORED_HEADERS: Final = ("备注", "说明", "序号", "remark", "remarks", "note", "notes", "no", "no.")
"""Headers of columns that say nothing to us: left out without a word."""
IGNORE: Final = "ignore"
"""What --map names for a column that is to be left out."""
