"""The commands as a user types them: one clear line for each mistake, exit code 2, no traceback."""

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import pytest

from tests import servers
from tests.terminal import lifeline

LIFELINE = [sys.executable, "-m", "lifeline"]


@pytest.fixture
def city(tmp_path):
    assert lifeline("init", tmp_path / "city").returncode == 0
    return tmp_path / "city"


def configure(city, *, mqtt: int, more: str = "") -> None:
    coap, page = servers.free_port(socket.SOCK_DGRAM), servers.free_port()
    (city / "city.toml").write_text(
        f'[site]\nname = "Test"\n[mqtt]\nhost = "127.0.0.1"\nport = {mqtt}\n'
        f"[coap]\nport = {coap}\n[page]\nport = {page}\n{more}"
    )


def page_of(city) -> str:
    port = (city / "city.toml").read_text().split("[page]\nport = ")[1].split()[0]
    return f"http://127.0.0.1:{port}/"


def test_help_and_version_tell_what_there_is():
    ran = lifeline("--help")
    assert ran.returncode == 0
    for command in ("demo", "init", "run", "simulate", "replay", "rules", "alarms", "doctor"):
        assert command in ran.stdout
    assert lifeline("--version").stdout.startswith("City Lifeline ")


def test_init_writes_a_city_that_checks_clean_and_overwrites_nothing(city):
    assert (city / "city.toml").exists()
    assert (city / "rules" / "gas.yaml").exists()
    assert lifeline("rules", "check", city).returncode == 0
    again = lifeline("init", city)
    assert again.returncode == 2
    assert "nothing was written" in again.stderr


def test_every_mistake_of_a_city_is_told_at_once(city):
    closed = servers.free_port()
    configure(city, mqtt=closed, more=f'[influx]\nurl = "http://127.0.0.1:{closed}"\nbucket = "b"')
    (city / "rules" / "own.yaml").write_text("version: 1\nrules:\n- {id: x, kind: treshold}\n")
    ran = lifeline("run", city)
    assert ran.returncode == 2
    lines = ran.stderr.splitlines()
    assert any(line.startswith("lifeline: own.yaml:3:") for line in lines)
    assert any(f"broker 127.0.0.1:{closed} ([mqtt]): no answer" in line for line in lines)
    assert any(
        f"InfluxDB http://127.0.0.1:{closed} ([influx]): no answer" in line for line in lines
    )


def test_a_service_that_starts_before_its_servers_is_not_refused(city):
    configure(city, mqtt=servers.free_port())
    assert lifeline("run", city, "--check").returncode == 2
    assert lifeline("run", city, "--check", "--no-ask-servers").returncode == 0


def test_a_demo_s_report_is_refused_a_folder_with_an_earlier_run(tmp_path):
    (tmp_path / "data" / "journal").mkdir(parents=True)
    (tmp_path / "data" / "journal" / "0.seg").write_text("")
    (tmp_path / "data" / "VERSION").write_text("1\n")
    ran = lifeline("demo", "--duration", 10, "--data", tmp_path / "data")
    assert ran.returncode == 2
    assert "choose an empty folder" in ran.stderr


def test_a_missing_folder_is_one_line():
    ran = lifeline("run", "/nowhere/at/all")
    assert ran.returncode == 2
    assert len(ran.stderr.splitlines()) == 1
    assert "lifeline init" in ran.stderr


@pytest.mark.real
def test_a_wrong_password_is_told_before_anything_starts(city, tmp_path):
    passwords = tmp_path / "passwords"
    passwords.write_text("")
    (city / "secret").write_text("guess")
    with servers.mosquitto(password_file=passwords, extra="user root") as broker:
        configure(city, mqtt=broker.port)
        text = (city / "city.toml").read_text()
        given = 'user = "me"\npassword_file = "secret"\n[coap]'
        (city / "city.toml").write_text(text.replace("[coap]", given))
        ran = lifeline("run", city)
    assert ran.returncode == 2
    assert "check user and password_file" in ran.stderr
    assert "guess" not in ran.stderr
    assert not (city / "data").exists()


@pytest.mark.real
def test_a_city_runs_a_second_instance_is_refused_and_doctor_sees_it(city, tmp_path):
    with servers.mosquitto() as broker:
        configure(city, mqtt=broker.port)
        run = subprocess.Popen([*LIFELINE, "run", city], stderr=subprocess.PIPE, text=True)
        try:
            wait_for_page(run, page_of(city))
            second = lifeline("run", city)
            assert second.returncode == 2
            findings = tmp_path / "doctor.json"
            examined = lifeline("doctor", city, "--json", findings)
            run.send_signal(signal.SIGINT)
            said = run.communicate(timeout=30)[1]  # it gives each process five seconds
        finally:
            run.kill()
            run.wait()
    assert run.returncode == 0, said
    assert f"process {run.pid} works in this data folder" in second.stderr
    assert examined.returncode == 0, examined.stdout
    found = {f["what"]: f["found"] for f in json.loads(findings.read_text())}
    assert found["broker"] == "reachable, takes us"
    assert found["running"] == f"yes, process {run.pid}"
    assert int(found["journal ends at"]) > 0
    listed = lifeline("alarms", "list", city)
    assert listed.returncode == 0
    assert "no open alarms" in listed.stdout


def wait_for_page(run: subprocess.Popen[str], address: str) -> None:
    deadline = time.monotonic() + 30
    while True:
        assert run.poll() is None, run.stderr.read()
        try:
            with urllib.request.urlopen(address, timeout=1) as answer:  # noqa: S310 - ours
                assert answer.status == 200
                return
        except OSError:
            assert time.monotonic() < deadline, "the page did not come up"
            time.sleep(0.1)


def test_a_newer_data_folder_is_refused_with_the_remedy(city):
    (city / "data").mkdir()
    (city / "data" / "VERSION").write_text("7\n")
    with servers.mosquitto() as broker:
        configure(city, mqtt=broker.port)
        ran = lifeline("run", city)
    assert ran.returncode == 2
    assert "use the program that wrote them" in ran.stderr


def test_alarms_of_a_city_that_never_ran_are_one_line(city):
    ran = lifeline("alarms", "list", city)
    assert ran.returncode == 2
    assert "has a city run here?" in ran.stderr
