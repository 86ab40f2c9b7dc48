"""`lifeline influx check`: one clear line a finding, on InfluxDB 2.x, 1.6.7 and VictoriaMetrics."""

import json

import pytest

from lifeline.influx import points
from lifeline.influx.check import check
from lifeline.settings.config import load_config
from tests import influx_two, servers, store_server
from tests.lifeline.test_influx_setup import City


@pytest.fixture
def server():
    with influx_two.running() as running:
        yield running


@pytest.fixture
def city(tmp_path, server):
    made = City(tmp_path, server)
    assert made.run("setup")[0] == 0
    return made


def troubles(lines):
    return [line for line in lines if line.startswith("trouble")]


def test_a_server_that_was_set_up_is_in_order(city, tmp_path):
    code, lines = city.run("check", "--json", str(tmp_path / "found.json"))
    assert (code, troubles(lines)) == (0, [])
    assert any("one was written and read back by InfluxQL" in line for line in lines)
    assert any("active, last run success" in line for line in lines)
    found = json.loads((tmp_path / "found.json").read_text())
    assert len(found) == len(lines)
    assert {f["state"] for f in found} == {"ok"}


def _stop_a_task(server):
    server.task("lifeline_1m")["status"] = "inactive"


def _fail_a_task(server):
    server.task("lifeline_1h").update(lastRunStatus="failed", lastRunError="no memory")


def _age_a_task(server):
    server.task("lifeline_1h")["latestCompleted"] = "2026-01-01T00:00:00Z"


def _edit_a_task(server):
    server.task("lifeline_1h")["flux"] += "|> limit(n: 1)"


def _change_a_type(server):
    key = server.bucket("lifeline")["id"], "gas"
    server.points[key] = {"value": {"float", "integer"}, "quality": {"integer"}, "other": {"any"}}


def _change_a_sampled_type(server):
    key = server.bucket("lifeline_1m")["id"], "gas"
    server.points[key] = {"count": {"float"}, "min": {"float"}}


def _shorten(server):
    server.bucket("lifeline")["retentionRules"] = [{"type": "expire", "everySeconds": 86_400}]


def _shorten_another(server):
    server.bucket("lifeline_1h")["retentionRules"] = [{"type": "expire", "everySeconds": 86_400}]


def _unmap(server):
    server.dbrps.clear()


def _map_elsewhere(server):
    other = server.bucket("lifeline_1h")["id"]
    next(m for m in server.dbrps.values() if m["database"] == "lifeline_1m")["bucketID"] = other


def _many_series(server):
    server.series[server.bucket("lifeline")["id"]] = 1_200_000


def _lose_a_bucket(server):
    del server.buckets[server.bucket("lifeline_features")["id"]]


def _forget_the_mark(server):
    server.bucket("lifeline")["description"] = ""


def _newer_mark(server):
    server.bucket("lifeline")["description"] = "City Lifeline schema 7"


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (_stop_a_task, "task lifeline_1m: is inactive; lifeline influx setup activates it"),
        (_fail_a_task, "task lifeline_1h: its last run failed: no memory; influx task log list"),
        (_age_a_task, "task lifeline_1h: has not run since 2026-01-01 00:00Z"),
        (_edit_a_task, "task lifeline_1h: its Flux is not that of this version"),
        (_change_a_type, 'field "value" of "gas" is float and integer, the schema says float'),
        (_change_a_sampled_type, 'field "count" of "gas" is float, the schema says integer'),
        (_shorten, "bucket lifeline: keeps 1d, less than the journal (30d)"),
        (_shorten_another, "bucket lifeline_1h: keeps 1d, city.toml says 3650d"),
        (_unmap, "mapping lifeline/autogen: is not there; lifeline influx setup makes it"),
        (_map_elsewhere, "mapping lifeline_1m/autogen: leads to another bucket"),
        (_many_series, "series: 1,200,000 in 4 buckets: InfluxDB gets slow and large"),
        (_lose_a_bucket, "writing to lifeline_features: no such bucket or org"),
        (_forget_the_mark, "schema: not marked; this program writes 2; lifeline influx migrate"),
        (_newer_mark, "schema: version 7; this program knows 2; update City Lifeline"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_each_thing_that_is_wrong_is_told_with_its_remedy(city, server, harm, said):
    harm(server)
    code, lines = city.run("check")
    assert code == 1
    assert any(said in line for line in troubles(lines)), lines


def test_a_token_without_rights_is_told_and_ends_the_examination(city, server):
    server.tokens[city.store_token]["rights"] = set()
    code, lines = city.run("check")
    assert code == 1
    (first, second) = troubles(lines)
    assert "writing to lifeline: the token is refused" in first
    assert "403 insufficient permissions for write" in first
    assert "run lifeline influx setup" in second
    assert len(lines) == 3


def test_a_token_that_may_only_write_needs_the_admin_s_for_the_rest(city, server):
    held = server.tokens[city.store_token]
    held["rights"] = {r for r in held["rights"] if r[0] == "write"}
    code, lines = city.run("check")
    assert code == 1
    assert any("is not there, or the token may not read it" in line for line in troubles(lines))
    code, lines = city.run("check", "--admin-token-file", str(city.admin))
    assert [line for line in troubles(lines) if "bucket" in line and "read back" not in line] == []
    assert any("task lifeline_1m: active" in line for line in lines)


def test_a_server_that_does_not_answer_is_exit_code_2(city, server, tmp_path):
    server.shutdown()
    server.server_close()
    code, lines = city.run("check", "--json", str(tmp_path / "found.json"))
    assert code == 2
    assert "no answer" in lines[-1]
    assert "is url right?" in lines[-1]
    assert json.loads((tmp_path / "found.json").read_text())[-1]["state"] == "trouble"


def test_a_server_in_trouble_of_its_own_is_exit_code_2(city, server):
    server.fail["get", "tasks"] = (503, "shutting down")
    code, lines = city.run("check")
    assert code == 2
    assert "503 shutting down" in lines[-1]


def _elsewhere(city, url):
    """Return the findings of the city with another server."""
    path = city.folder / "city.toml"
    path.write_text(path.read_text().replace(city.server.url, url))
    return check(load_config(city.folder), token=store_server.TOKEN)


def test_influxdb_1_is_examined_as_far_as_it_goes(city):
    with servers.influxd() as influxd, store_server.v2_proxy(influxd) as proxy:
        for name in ("lifeline", "lifeline_features"):
            store_server.query(influxd, f"CREATE DATABASE {name}")
        report = _elsewhere(city, proxy.url)
        said = {f.what: f for f in report.findings}
        assert report.exit_code == 0, report.findings
        assert "answers, 1.6.7" in said["server"].found
        assert "has no /api/v2/buckets" in said["buckets"].found
        assert said["points"].found == "one was written and read back by InfluxQL"
        assert said["series"].found.startswith("1 in ")
        assert "database not found: lifeline_1m" in said["fields of lifeline_1m"].found
        body = b"gas,channel=a value=1i,quality=1i 1\ngas,channel=a quality=1i 2\n"
        store_server.write(influxd, "lifeline", body)
        report = check(load_config(city.folder), token=store_server.TOKEN)
        assert report.exit_code == 1
        (wrong,) = (f for f in report.findings if f.state == "trouble")
        assert 'field "value" of "gas" is integer, the schema says float' in wrong.found


def test_influxdb_1_without_the_database_is_told(city):
    with servers.influxd() as influxd, store_server.v2_proxy(influxd) as proxy:
        report = _elsewhere(city, proxy.url)
        assert report.exit_code == 1
        assert "no such bucket or org" in report.findings[1].found


def test_victoria_metrics_is_examined_as_far_as_it_goes(city):
    with servers.victoria_metrics() as victoria:
        report = _elsewhere(city, victoria.url)
        assert report.exit_code == 0
        said = {f.what: f.found for f in report.findings}
        assert said["server"].endswith("version unknown")
        assert "cannot be checked here" in said["buckets"]
        assert "no InfluxQL" in said["points"]


def test_points_that_cannot_be_read_back_are_told(city, server, monkeypatch):
    monkeypatch.setattr(points, "READ_BACK_S", 0.3)
    monkeypatch.setattr(server, "post_write", lambda *a: (204, None))
    code, lines = city.run("check")
    assert code == 1
    assert any("cannot be read back after" in line for line in troubles(lines))
