"""simulate, replay, recording, rules and bench from the command line."""

import json
import threading
from datetime import UTC, datetime

import pytest

from ingest.sources.mqtt import MqttSettings
from lifeline import production_mark
from lifeline.production_mark import (
    MarkLater,
    ProductionBroker,
    put_mark,
    read_mark,
    refuse_production,
)
from tests import servers
from tests.terminal import lifeline


@pytest.fixture(scope="module")
def leak(tmp_path_factory):
    out = tmp_path_factory.mktemp("feeds") / "leak"
    ran = lifeline("simulate", "gas-leak", "--out", out)
    assert ran.returncode == 0, ran.stderr
    return out


def test_a_recorded_leak_raises_an_alarm_on_replay(leak, tmp_path):
    events = tmp_path / "events.jsonl"
    ran = lifeline("replay", leak, "--events", events)
    assert ran.returncode == 0, ran.stderr
    assert "RAISED" in ran.stdout
    raised = [json.loads(line) for line in events.read_text().splitlines()]
    assert any(e["type"] == "RAISED" and e["rule"].startswith("gas-ch4") for e in raised)


@pytest.mark.parametrize("ending", ["parquet", "jsonl", "csv"])
def test_an_exported_recording_comes_back_with_the_same_events(leak, tmp_path, ending):
    first, second = tmp_path / "1.jsonl", tmp_path / "2.jsonl"
    assert lifeline("recording", "export", leak, tmp_path / f"leak.{ending}").returncode == 0
    back = tmp_path / "back"
    assert lifeline("recording", "import", tmp_path / f"leak.{ending}", back).returncode == 0
    assert lifeline("replay", leak, "--quiet", "--events", first).returncode == 0
    assert lifeline("replay", back, "--quiet", "--events", second).returncode == 0

    def alarms(path):
        kept = ("type", "rule", "subject", "severity", "event_ns", "value")
        events = [json.loads(line) for line in path.read_text().splitlines()]
        return [[e[k] for k in kept] for e in events if e["severity"]]

    assert alarms(first) == alarms(second) != []


def test_a_recording_is_cut_spiced_anonymised_and_sought_from_the_command_line(leak, tmp_path):
    begin = json.loads((leak / "meta.json").read_text())["begin_ns"] // 10**9
    at = [datetime.fromtimestamp(begin + s, UTC).isoformat() for s in (0, 900, 1800)]
    part = tmp_path / "part.zip"
    ran = lifeline("recording", "cut", leak, part, "--to", at[1], "--channel", "*-gas-mh-*")
    assert ran.returncode == 0, ran.stderr
    spiced = tmp_path / "spiced"
    scenario = tmp_path / "more.yaml"
    place = json.loads((leak / "meta.json").read_text())["incidents"][0]["place"]
    scenario.write_text(
        "version: 1\nname: more\nincidents:\n"
        f"- {{id: a, kind: gas_leak, at: 1m, place: {place}, lasts: 9m}}\n"
    )
    ran = lifeline("recording", "spice", part, spiced, "--scenario", scenario)
    assert ran.returncode == 0, ran.stderr
    assert "1 incidents" in ran.stdout
    keys = ("--key", tmp_path / "key", "--map", tmp_path / "map.json")
    ran = lifeline("recording", "anonymise", spiced, tmp_path / "given.zip", *keys)
    assert ran.returncode == 0, ran.stderr
    ran = lifeline("replay", tmp_path / "given.zip", "--from", at[0], "--loops", 2)
    assert ran.returncode == 0, ran.stderr
    assert "RAISED" in ran.stdout
    assert place not in ran.stdout


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (("--from", "noon"), "write 2026-"),
        (("--from", "2026-01-01T00:00:00"), "has no zone"),
        (("--to", "1970-01-01T00:00:00+00:00"), "begins when it has ended"),
    ],
)
def test_a_time_that_is_none_is_told_with_how_to_write_it(leak, wrong, said):
    ran = lifeline("replay", leak, *wrong)
    assert ran.returncode == 2
    assert said in ran.stderr


def test_real_hardware_takes_a_device_s_place_only_in_real_time():
    ran = lifeline("simulate", "quiet", "--to", "mqtt://h", "--factor", 2, "--without", "a")
    assert ran.returncode == 2
    assert "real hardware lives in real time" in ran.stderr


@pytest.mark.real
def test_a_simulated_city_speaks_to_a_broker_until_its_time_is_over(tmp_path):
    stats = tmp_path / "stats.json"
    with servers.mosquitto() as broker:
        ran = lifeline(
            "simulate", "quiet", "--to", f"mqtt://127.0.0.1:{broker.port}",
            "--factor", 60, "--lasts", "8m", "--stats", stats,
        )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    told = json.loads(stats.read_text())
    assert told["transports"]["mqtt"]["readings_acked"] > 100
    assert told["done"]


@pytest.mark.real
def test_simulated_data_keep_away_from_a_broker_of_a_real_city():
    with servers.mosquitto() as broker:
        assert read_mark("127.0.0.1", broker.port) == ""
        put_mark(MqttSettings(host="127.0.0.1", port=broker.port), "Zhengzhou")
        with pytest.raises(ProductionBroker, match="Zhengzhou"):
            refuse_production("127.0.0.1", broker.port)
        ran = lifeline("simulate", "quiet", "--to", f"mqtt://127.0.0.1:{broker.port}")
    assert ran.returncode == 2
    assert "serves the city 'Zhengzhou'" in ran.stderr


@pytest.mark.real
def test_a_service_that_did_not_wait_for_its_broker_marks_it_when_it_comes(monkeypatch):
    monkeypatch.setattr(production_mark, "RETRY_S", 0.1)
    port, stop = servers.free_port(), threading.Event()
    later = MarkLater(MqttSettings(host="127.0.0.1", port=port), "Zhengzhou", stop=stop)
    later.start()
    later.join(0.5)
    assert later.is_alive()
    with servers.mosquitto(port=port):
        later.join(15)
        assert not later.is_alive()
        assert read_mark("127.0.0.1", port) == "Zhengzhou"
    stop.set()


@pytest.mark.real
def test_a_broker_that_wants_a_password_says_so(tmp_path):
    passwords = tmp_path / "passwords"
    passwords.write_text("")
    with servers.mosquitto(password_file=passwords, extra="user root") as broker:
        ran = lifeline("simulate", "quiet", "--to", f"mqtt://127.0.0.1:{broker.port}")
        absent = tmp_path / "absent"
        to = f"mqtt://127.0.0.1:{broker.port}"
        missing = lifeline("simulate", "quiet", "--to", to, "--password-file", absent)
    assert ran.returncode == missing.returncode == 2
    assert "give --user and --password-file" in ran.stderr
    assert f"{absent}: No such file" in missing.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["simulate", "gasleak", "--out", "x"], 'did you mean "gas-leak"'),
        (["simulate", "quiet", "--to", "http://x"], "mqtt://127.0.0.1:1883"),
        (["simulate", "quiet", "--to", "mqtts://x", "--ca-file", "absent"], "absent: no such file"),
        (["simulate", "quiet", "--to", "mqtt://x", "--ca-file", "x"], "--to mqtts://"),
        (["replay", "nowhere"], "no such file or folder"),
        (["replay", "nowhere", "--speed", "fast"], "a number above 0, or max"),
        (["recording", "export", "nowhere", "x.csv"], "nowhere"),
        (["rules", "check", "nowhere"], "no such folder"),
    ],
)
def test_a_wrong_word_is_told_with_the_remedy_and_exit_code_2(words, said):
    ran = lifeline(*words)
    assert ran.returncode == 2
    assert said in ran.stderr


def test_rules_check_tells_every_problem_with_its_place_as_text_and_json(tmp_path):
    (tmp_path / "a.yaml").write_text("version: 1\nrules:\n- {id: x, kind: treshold}\n")
    (tmp_path / "b.yaml").write_text("version: 2\n")
    text = lifeline("rules", "check", tmp_path)
    assert text.returncode == 2
    assert "a.yaml:3:" in text.stderr
    assert "b.yaml:1:" in text.stderr
    found = tmp_path / "found.json"
    assert lifeline("rules", "check", tmp_path, "--json", found).returncode == 2
    told = json.loads(found.read_text())
    assert {problem["file"] for problem in told} == {"a.yaml", "b.yaml"}


def test_rules_check_lets_warnings_pass_unless_it_is_strict(tmp_path):
    rule = "{id: x, kind: threshold, source: estimate, select: {zone: none}, above: {red: 5 kPa}}"
    (tmp_path / "a.yaml").write_text(f"version: 1\nrules:\n- {rule}\n")
    lifeline("init", tmp_path / "city")
    words = ("rules", "check", tmp_path / "a.yaml", "--registry", tmp_path / "city" / "registry")
    easy = lifeline(*words)
    assert (easy.returncode, "matches no registered channel" in easy.stderr) == (0, True)
    assert lifeline(*words, "--strict").returncode == 1


def test_the_benchmarks_run(tmp_path):
    figures = tmp_path / "figures.json"
    ran = lifeline(
        "bench", "engine", "--workload", "T1", "--channels", 50, "--rounds", 5, "--json", figures
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert figures.exists()
    assert lifeline("bench", "store", "--rows", 500, "--json", figures).returncode == 0
    assert json.loads(figures.read_text())["bench"] == "store"
