"""The program itself, by its own metrics in Prometheus."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifeline.grafana import panels
from lifeline.grafana.shapes import GREY, Board, Panel, Query, Row
from lifeline.grafana.words import both

if TYPE_CHECKING:
    from lifeline.grafana.city import City

BAD = "#d0d4da"  # of what needs somebody: white on dark, not a level's colour


def pipeline_health(city: City) -> Board:
    """Return the dashboard of the program's health."""
    return Board(
        uid="lifeline-pipeline",
        title=both("Pipeline health", "系统运行"),
        description=both(
            "From the page's /metrics, by Prometheus.", "取自本系统 /metrics，经 Prometheus。"
        ),
        variables=panels.variables("district", "lifeline"),
        links=(panels.BACK,),
        begin="now-1h",
        rows=(
            panels.state_row(
                both("Is anything wrong now?", "现在有没有报警？"),
                city,
                of=("district", "lifeline"),
            ),
            Row(both("Does the whole chain work?", "整条链路正常吗？"), _chain()),
            Row(both("Does data come in?", "数据在进来吗？"), _intake()),
            Row(both("Who lags behind?", "谁在滞后？"), _lags()),
            Row(both("What was refused or lost?", "哪些被拒绝或丢失？"), _losses()),
            Row(both("Do the operators' orders get through?", "操作指令送达了吗？"), _service()),
        ),
    )


def _asked(*expressions: tuple[str, str]) -> tuple[Query, ...]:
    return tuple(Query(text, name, prometheus=True) for text, name in expressions)


def _stat(title: str, expression: str, *, unit: str, bad: float) -> Panel:
    return Panel(
        kind="stat",
        title=title,
        width=4,
        height=4,
        queries=_asked((expression, title)),
        unit=unit,
        decimals=0,
        steps=((None, GREY), (bad, BAD)),
        interval="15s",
        no_value=both("no answer", "无应答"),
    )


def _series(title: str, *expressions: tuple[str, str], unit: str = "short") -> Panel:
    return Panel(
        kind="series",
        title=title,
        width=8,
        queries=_asked(*expressions),
        unit=unit,
        lowest=0,
        interval="15s",
        legend=True,
    )


def _rate(metric: str, by: str) -> str:
    return f"sum by ({by}) (rate({metric}[$__rate_interval]))"


def _chain() -> tuple[Panel, ...]:
    # Of gauges the largest counts: processes that only import a module show 0 for them.
    return (
        _stat(both("Blind", "监测中断"), "max(lifeline_blind)", unit="bool_yes_no", bad=1),
        _stat(
            both("Last heartbeat", "最近心跳"),
            "max(lifeline_heartbeat_age_seconds)",
            unit="s",
            bad=90,
        ),
        _stat(both("Newest data", "最新数据"), "max(lifeline_data_age_seconds)", unit="s", bad=60),
        _stat(
            both("Broker lost", "代理断开"),
            "1 - max(lifeline_mqtt_connected)",
            unit="bool_yes_no",
            bad=1,
        ),
        _stat(both("Disk full", "磁盘满"), "max(lifeline_disk_full)", unit="bool_yes_no", bad=1),
        _stat(
            both("Re-runs that differ", "重算不一致"),
            "sum(lifeline_ledger_mismatches_total) or vector(0)",
            unit="short",
            bad=1,
        ),
    )


def _intake() -> tuple[Panel, ...]:
    commits = _rate("lifeline_journal_commit_seconds_bucket", "le")
    return (
        _series(
            both("Frames", "报文"),
            (_rate("lifeline_frames_total", "transport"), "{{transport}}"),
            unit="reqps",
        ),
        _series(
            both("Readings", "读数"),
            ("sum(rate(lifeline_readings_total[$__rate_interval]))", "readings"),
            unit="rowsps",
        ),
        _series(
            both("Time of a commit, half and 99 %", "提交耗时（中位与 99 %）"),
            *(
                (f"histogram_quantile({share}, {commits})", f"p{share * 100:g}")
                for share in (0.5, 0.99)
            ),
            unit="s",
        ),
        _series(
            both("Bytes waiting, and their limit", "待写字节与上限"),
            ("max(lifeline_intake_queue_bytes)", "waiting"),
            ("max(lifeline_intake_queue_limit_bytes)", "limit"),
            unit="bytes",
        ),
        _series(
            both("Admitted with a remark", "带备注入库"),
            (_rate("lifeline_admission_total", "remark"), "{{remark}}"),
            unit="rowsps",
        ),
        _series(
            both("Records folded by the engine", "引擎处理记录"),
            ("sum(rate(lifeline_engine_records_total[$__rate_interval]))", "records"),
            unit="rowsps",
        ),
    )


def _lags() -> tuple[Panel, ...]:
    since = "lifeline_store_down_since_seconds"
    return (
        _series(
            both("Engine, archive and store, records", "引擎、归档与入库滞后（记录）"),
            ("max(lifeline_engine_lag_records)", "engine"),
            ("max(lifeline_archive_lag_records)", "archive"),
            ("max by (input) (lifeline_store_lag_records)", "store {{input}}"),
        ),
        _series(
            both("Oldest frame that waits for its commit", "等待提交的最早报文"),
            ("max(lifeline_journal_lag_seconds)", "journal"),
            unit="s",
        ),
        _series(
            both("InfluxDB down since", "InfluxDB 不可用时长"),
            (f"max((time() - {since}) * ({since} > bool 0))", "down"),
            unit="s",
        ),
    )


def _losses() -> tuple[Panel, ...]:
    def lost(title: str, *metrics: tuple[str, str]) -> Panel:
        return _series(
            title,
            *(
                (f"sum(increase({metric}[$__rate_interval])) or vector(0)", name)
                for metric, name in metrics
            ),
        )

    return (
        lost(
            both("Quarantined", "隔离"),
            ("lifeline_frames_quarantined_total", "frames"),
            ("lifeline_parts_quarantined_total", "parts"),
        ),
        lost(
            both("Refused by InfluxDB, or lost", "InfluxDB 拒收或丢失"),
            ("lifeline_store_bad_lines_total", "refused"),
            ("lifeline_store_dropped_lines_total", "dropped"),
            ("lifeline_store_lost_records_total", "lost to retention"),
        ),
        lost(
            both("Pauses and full queues", "暂停与队列满"),
            ("lifeline_mqtt_pauses_total", "MQTT paused"),
            ("lifeline_intake_queue_full_total", "queue full"),
            ("lifeline_coap_unavailable_total", "CoAP 5.03"),
        ),
    )


def _service() -> tuple[Panel, ...]:
    return (
        _series(
            both("Events taken into the ledger", "台账收到的事件"),
            (_rate("lifeline_ledger_events_total", "type"), "{{type}}"),
            unit="eps",
        ),
        _series(
            both("Orders not yet in the journal", "尚未写入日志的指令"),
            ("max(lifeline_commands_not_in_journal)", "waiting"),
        ),
        _series(
            both("Events written by the engine", "引擎写入的事件"),
            (_rate("lifeline_engine_events_total", "type"), "{{type}}"),
            unit="eps",
        ),
    )
