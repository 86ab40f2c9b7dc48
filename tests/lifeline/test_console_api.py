"""The page's API over real HTTP, with a real journal, engine and event log behind it."""

from __future__ import annotations

import json
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from lifeline.clock import Clock
from lifeline.console.access import sight_of
from lifeline.console.desk import Desk
from lifeline.console.trend import trend_json
from lifeline.hot_buffer import HotBuffer, Points
from lifeline.ledger import Ledger
from lifeline.notify import WebhookSettings
from lifeline.people.roles import ANYBODY
from lifeline.serve import ServeSettings, run_serve
from lifeline.site import Site, SiteKeeper
from rules.readings import Readings
from tests.lifeline.small_city import GAS, LEVEL, OTHER_GAS, SmallCity, serving, until


@pytest.fixture
def city(tmp_path):
    held = SmallCity(tmp_path / "data")
    yield held
    held.close()


@pytest.fixture
def http(city):
    with serving(city.data) as client:
        yield client


def alarms(http) -> list[dict]:
    return http.get("/api/alarms").json()["alarms"]


def raised(city, http) -> dict:
    city.send(GAS, 1.3)
    return until(lambda: alarms(http))[0]


def order(by: str = "li", seq: int = 10**6, command: str = "c1") -> dict:
    return {"by": by, "comment": "", "expected_seq": seq, "command": command}


def test_an_alarm_says_what_where_since_when_and_why_in_both_languages(city, http):
    alarm = raised(city, http)
    english, chinese = alarm["words"]["en"]["sentence"], alarm["words"]["zh"]["sentence"]
    for part in ("methane", "1.30 %vol (26 %LEL)", "limit 1.25 %vol", "manhole 123", "since "):
        assert part in english
    for part in ("甲烷", "1.30 %vol", "限值 1.25 %vol", "中原路123号井", "自 ", "尚未确认"):
        assert part in chinese
    assert "not approved for this site" in english
    assert alarm["severity"] == 2, "a first dangerous sample is announced one level lower"


def test_the_second_dangerous_sample_confirms_and_shows_the_full_level(city, http):
    raised(city, http)
    city.send(GAS, 1.4)
    until(lambda: alarms(http)[0]["confirmed"])
    assert alarms(http)[0]["severity"] == 3


def test_the_state_counts_by_lifeline_and_level(city, http):
    raised(city, http)
    city.send(LEVEL, 0.7)
    until(lambda: len(alarms(http)) == 2)
    told = http.get("/api/state").json()
    assert told["counts"] == {"gas": {"2": [1, 1]}, "drain": {"2": [1, 1]}}
    assert told["approved"] is False
    assert [level["severity"] for level in told["levels"]] == [4, 3, 2, 1]
    assert told["data_age_s"] < 30


def test_two_operators_acking_one_is_told_the_other_ones_name(city, http):
    alarm = raised(city, http)
    first = http.post(f"/api/alarms/{alarm['id']}/ack", json=order("li", alarm["seq"]))
    assert first.json()["alarm"]["acked_by"] == "li"
    second = http.post(f"/api/alarms/{alarm['id']}/ack", json=order("wang", alarm["seq"], "c2"))
    assert second.status_code == 409
    assert second.json()["error"]["by"] == "li"
    again = http.post(f"/api/alarms/{alarm['id']}/ack", json=order("li", alarm["seq"]))
    assert again.status_code == 200, "a repeated request is answered, not refused"


def test_an_ack_from_before_it_got_worse_is_refused(city, http):
    alarm = raised(city, http)
    city.send(GAS, 2.6)
    city.send(GAS, 2.7)
    until(lambda: alarms(http)[0]["severity"] == 4)
    answer = http.post(f"/api/alarms/{alarm['id']}/ack", json=order(seq=alarm["seq"]))
    assert answer.status_code == 409
    assert "changed since you saw it" in answer.json()["error"]["message"]


def test_undo_brings_the_alarm_back_unacknowledged(city, http):
    alarm = raised(city, http)
    http.post(f"/api/alarms/{alarm['id']}/ack", json=order(seq=alarm["seq"]))
    body = {"by": "li", "command": "c2"}
    answer = http.post(f"/api/alarms/{alarm['id']}/ack/revoke", json=body)
    assert answer.json()["alarm"]["word"] == "UNACK"
    history = http.get(f"/api/alarms/{alarm['id']}").json()["events"]
    assert [e["type"] for e in history] == ["RAISED", "ACKED", "ACK_REVOKED"]


def test_a_reset_is_taken_for_an_over_range_alarm_and_waits_for_the_journal(city, http):
    city.send(GAS, 5.5)
    city.send(GAS, 5.6)
    alarm = until(lambda: [a for a in alarms(http) if a["over_range"]])[0]
    body = {"by": "li", "reason": "re-tested 0.1 %vol", "command": "c1"}
    assert http.post(f"/api/alarms/{alarm['id']}/reset", json=body).status_code == 202
    waits = until(lambda: http.get("/api/health").json()["problems"].get("commands"))
    assert "wait for ingest at control.sock" in waits


BAD = {
    "missing": ({"by": "li", "command": "c"}, "expected_seq", "add this field"),
    "extra": (order() | {"nmae": 1}, "nmae", "leave this field out"),
    "type": (order() | {"expected_seq": "two"}, "expected_seq", "give a value"),
    "blank": (order() | {"by": "  "}, "by", "give a value"),
    "long": (order() | {"comment": "x" * 1001}, "comment", "1000"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_command_names_the_field_the_value_and_the_remedy(http, name):
    body, field, remedy = BAD[name]
    answer = http.post("/api/alarms/0123456789ab/ack", json=body)
    error = answer.json()["error"]
    assert answer.status_code == 422
    assert error["field"] == field
    assert remedy in error["remedy"]
    assert "value" in error
    assert "Traceback" not in answer.text


def test_bytes_that_are_no_json_get_an_error_and_no_traceback(http):
    for body in (b"", b"{", b"\xff\xfe", b"[]", b'"x"', b"null", b'{"by": NaN}'):
        headers = {"Content-Type": "application/json"}
        answer = http.post("/api/alarms/0123456789ab/ack", content=body, headers=headers)
        assert answer.status_code == 422, body
        assert answer.json()["error"]["remedy"]


BAD_QUERIES = [
    ("/api/trend", "channel"),
    ("/api/trend?channel=nothing/like/it", "channel"),
    (f"/api/trend?channel={GAS}&from=yesterday", "from"),
    (f"/api/trend?channel={GAS}&from=5&to=5", "from"),
    (f"/api/trend?channel={GAS}&from=0&to=1795225543866", "from"),
    (f"/api/trend?channel={GAS}&points=1000000", "points"),
    ("/api/alarms?min_severity=9", "min_severity"),
    ("/api/alarms?word=LOUD", "word"),
    ("/api/alarms/not-an-id", "alarm_id"),
    ("/api/channels?limit=-1", "limit"),
]


@pytest.mark.parametrize(("path", "field"), BAD_QUERIES)
def test_a_bad_query_names_the_field(city, http, path, field):
    until(lambda: http.get("/api/state").json()["site"])
    answer = http.get(path)
    assert answer.status_code == 422
    error = answer.json()["error"]
    assert error["field"] == field
    assert error["remedy"]


def test_what_is_not_there_is_a_404_with_a_remedy(http):
    for path in ("/api/alarms/0123456789ab", "/api/nothing", "/vendor/x.js", "/static/../serve.py"):
        answer = http.get(path)
        assert answer.status_code == 404, path
        assert answer.json()["error"]["remedy"]


def test_only_this_machines_own_page_may_talk_to_it(city, http):
    alarm = raised(city, http)
    path = f"/api/alarms/{alarm['id']}/ack"
    host = http.base_url.netloc.decode()
    refused = [
        http.get("/api/state", headers={"Host": "evil.example"}),
        http.get("/api/state", headers={"Host": "127.0.0.1:1"}),
        http.post(path, json=order(), headers={"Origin": "http://evil.example"}),
        http.post(path, json=order(), headers={"Origin": "null"}),
        http.post(path, json=order(), headers={"Sec-Fetch-Site": "cross-site"}),
    ]
    assert [r.status_code for r in refused] == [403] * 5
    assert all(r.json()["error"]["remedy"] for r in refused)
    form = http.post(path, content=json.dumps(order()), headers={"Content-Type": "text/plain"})
    assert form.status_code == 415, "a cross-site form cannot send JSON without asking first"
    huge = http.post(path, json=order() | {"comment": "x" * 70_000})
    assert huge.status_code == 413
    assert not alarms(http)[0]["acked"]
    good = http.post(path, json=order(), headers={"Origin": f"http://{host}"})
    assert good.status_code == 200
    assert "frame-ancestors 'none'" in good.headers["content-security-policy"]


def test_a_trend_has_its_limits_gaps_suspects_and_late_rows(city, http):
    city.history(GAS, [0.1] * 50)
    city.send(GAS, 0.3)
    city.send(GAS, 0.2, qc_flag=[3])
    city.send(GAS, 0.25, age_s=90.5)
    told = until(
        lambda: (
            (t := http.get("/api/trend", params={"channel": GAS}).json())["late"][-53:].count(True)
            and t
        )
    )
    assert len(told["t"]) == 53
    assert told["t"] == sorted(told["t"])
    assert told["suspect"].count(True) == 1
    assert (told["unit"], told["gap_ms"]) == ("%vol", 180_000)
    lines = {x["severity"]: x for x in told["limits"]}
    assert [lines[s]["steps"][0][1] for s in (1, 2, 3, 4)] == [0.5, 1.0, 1.25, 2.5]
    assert lines[4]["source"] == "clause"


def test_a_trend_joins_the_archive_and_the_hot_buffer_without_a_seam(city):
    now_ns = time.time_ns()
    minute = 60 * 10**9

    class Archive:
        asked: tuple = ()

        def trend(self, channel, from_ns, to_ns, max_points):
            self.asked = (channel, from_ns, to_ns)
            at = np.arange(from_ns, to_ns, 10 * minute)
            flag = np.ones(len(at), np.uint8)
            return Points(at, at, np.full(len(at), 0.5), flag, flag * 0)

    keeper = SiteKeeper(city.data)
    keeper.install(Site(city.registry, city.plan))
    hot = HotBuffer()
    row = city.registry.channel_row[GAS]
    recent = now_ns - np.arange(10)[::-1] * minute
    hot.put(
        Readings.of({"channel": [row] * 10, "judged_ns": recent, "value": [0.7] * 10}),
        np.zeros(10, np.uint8),
    )
    desk = Desk(
        data=city.data,
        settings=ServeSettings(),
        clock=Clock(),
        ledger=Ledger("sqlite:///" + str(city.data / "ledger.sqlite")),
        keeper=keeper,
        hot=hot,
        watchdog=None,
        archive=Archive(),
    )
    to = now_ns // 10**6 + 1
    sight = sight_of(desk, ANYBODY)
    told = trend_json(desk, sight, channel=GAS, from_ms=to - 3_600_000, to_ms=to, max_points=1_000)
    assert desk.archive.asked[0] == row
    assert desk.archive.asked[2] == recent[0], "where memory begins, the archive ends"
    assert told["value"] == [0.5] * (len(told["t"]) - 10) + [0.7] * 10
    assert told["t"] == sorted(told["t"])
    recent_only = trend_json(
        desk, sight, channel=GAS, from_ms=to - 60_000, to_ms=to, max_points=1_000
    )
    assert len(recent_only["t"]) == 1

    def broken(*_args):
        raise RuntimeError("no disk")

    desk.archive.trend = broken
    told = trend_json(desk, sight, channel=GAS, from_ms=to - 3_600_000, to_ms=to, max_points=1_000)
    assert (len(told["t"]), told["problem"]) == (10, "archive: no disk")


@pytest.mark.parametrize("mark", ["", "simulation", "replay"])
def test_the_webhook_hears_of_real_alarms_and_never_of_marked_ones(tmp_path, mark):
    heard: list[dict] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    hook = WebhookSettings(url=f"http://127.0.0.1:{server.server_port}/", secret=b"s")
    city = SmallCity(tmp_path / "data", simulation=mark == "simulation")
    with serving(city.data, webhook=hook, replay=mark == "replay") as http:
        raised(city, http)
        if mark:
            counted = 'lifeline_outbox_total{process="serve",status="withheld"}'
            assert counted in http.get("/metrics").text
            time.sleep(1.2)
        else:
            until(lambda: heard)
    city.close()
    server.shutdown()
    server.server_close()
    assert len(heard) == (0 if mark else 1)
    if heard:
        assert "甲烷" in heard[0]["sentence"]["zh"]
        assert heard[0]["simulation"] is False


def test_the_map_has_every_asset_and_the_streets_beside_it(city, http):
    street = {"type": "LineString", "coordinates": [[113.6, 34.7], [113.7, 34.8]]}
    feature = {"type": "Feature", "geometry": street, "properties": {"kind": "street"}}
    whole = {"type": "FeatureCollection", "features": [feature]}
    (city.data / "map.geojson").write_text(json.dumps(whole))
    features = until(lambda: (f := http.get("/api/map").json()["features"]) and len(f) == 5 and f)
    assert features[-1]["properties"]["kind"] == "street"
    names = {f["properties"].get("name_zh") for f in features[:-1]}
    assert "中原路123号井" in names
    (city.data / "map.geojson").write_bytes(b"[]")
    assert len(http.get("/api/map").json()["features"]) == 4, "the assets are still there"
    assert "map.geojson is no GeoJSON" in http.get("/api/health").json()["problems"]["map"]


def test_the_stream_tells_a_new_alarm_without_being_asked(city, http):
    with http.stream("GET", "/api/stream") as stream:
        lines = stream.iter_lines()
        assert next(lines) == "event: state"
        city.send(GAS, 1.3)
        for line in lines:
            if line.startswith("data: ") and json.loads(line[6:]).get("alarms"):
                break
        pulses = (line for line in lines if line == "event: pulse")
        assert next(pulses)


def test_channels_and_metrics_tell_what_there_is(city, http):
    city.send(GAS, 0.2)
    until(lambda: [c for c in http.get("/api/channels").json()["channels"] if c["value"]])
    (found,) = http.get("/api/channels", params={"q": "mh-000123"}).json()["channels"]
    assert (found["id"], found["value"], found["unit"]) == (GAS, 0.2, "%{vol}")
    text = http.get("/metrics").text
    for name in ("lifeline_ledger_events_total", "lifeline_blind", "lifeline_data_age_seconds"):
        assert name in text


def test_a_restart_goes_on_where_it_was(tmp_path):
    city = SmallCity(tmp_path / "data")
    with serving(city.data) as http:
        raised(city, http)
    city.send(OTHER_GAS, 1.3)
    with serving(city.data) as http:
        until(lambda: len(alarms(http)) == 2)
        told = http.get("/api/alarms").json()["alarms"]
        assert {a["words"]["en"]["value"] for a in told} == {"1.30 %vol (26 %LEL)"}
        assert not http.get("/api/health").json()["problems"]
    city.close()


def test_simulation_is_marked_everywhere_and_sticks_to_the_folder(tmp_path):
    city = SmallCity(tmp_path / "data", simulation=True)
    with serving(city.data) as http:
        assert raised(city, http)["simulation"]
        assert http.get("/api/state").json()["simulation"]
    city.close()


def test_rules_that_cannot_be_read_leave_alarms_with_ids_for_words(tmp_path):
    city = SmallCity(tmp_path / "data")
    for text in (city.data / "rules").glob("*.json"):
        text.write_bytes(b"{broken")
    with serving(city.data) as http:
        alarm = raised(city, http)
        assert alarm["words"]["en"]["what"] == GAS
        assert http.get("/api/health").json()["problems"]["site"]
    city.close()


def test_a_port_in_use_is_one_clear_line(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=rf"127\.0\.0\.1:{port}.*another port"):
            run_serve(
                data=tmp_path,
                settings=ServeSettings(port=port),
                clock=None,
                stop=threading.Event(),
            )
