"""compose.yaml says only what is there: files, secrets, variables, ports, health."""

from __future__ import annotations

import os
import re
import subprocess

import pytest
import yaml

from lifeline.new_site import write_new_site
from lifeline.settings.config import config_of
from tests import servers
from tests.deploy_files import DEPLOY, ROOT, compose

HELD = compose()
SERVICES = HELD["services"]
TEXT = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
VARIABLE = re.compile(r"(?<!\$)\$\{([A-Z_]+):-([^}]*)\}")


def environment() -> dict[str, str]:
    lines = (DEPLOY / ".env.example").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def filled(text: str) -> str:
    return VARIABLE.sub(lambda found: environment()[found[1]], text)


def sources(service) -> dict[str, str]:
    """Return {place in the container: place outside} of a service's mounts and secrets."""
    found = {}
    for volume in service.get("volumes", []):
        outside, inside = filled(volume).split(":")[:2]
        found[inside] = outside
    for secret in service.get("secrets", []):
        name = secret["source"] if isinstance(secret, dict) else secret
        target = secret["target"] if isinstance(secret, dict) else f"/run/secrets/{name}"
        found[target] = filled(HELD["secrets"][name]["file"])
    return found


@pytest.mark.real
def test_compose_itself_takes_the_file():
    words = ["docker-compose", "--env-file", DEPLOY / ".env.example", "--profile", "setup"]
    words += ["-f", DEPLOY / "compose.yaml", "config", "--quiet"]
    words[0] = servers.program("docker-compose")
    ran = subprocess.run(words, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert "not set" not in ran.stderr


def test_every_variable_stands_in_the_example_with_the_same_default_and_is_used():
    example, used = environment(), dict(VARIABLE.findall(TEXT))
    assert used == example
    assert len(VARIABLE.findall(TEXT)) == len(re.findall(r"(?<!\$)\$\{", TEXT)), (
        "all have a default"
    )


def test_every_mounted_file_is_there():
    for name, service in SERVICES.items():
        for inside, outside in sources(service).items():
            if outside in HELD["volumes"] or outside.startswith(("./secrets", "./site")):
                continue
            assert outside.startswith("."), f"{name}: {outside} is no volume listed below"
            assert (DEPLOY / outside).exists(), f"{name}: {outside}, mounted at {inside}"
    used = {v.split(":")[0] for s in SERVICES.values() for v in s.get("volumes", [])}
    assert {v for v in HELD["volumes"] if v not in used} == set()


def test_every_secret_is_listed_made_and_read(secrets):
    used = {
        s["source"] if isinstance(s, dict) else s
        for x in SERVICES.values()
        for s in x.get("secrets", [])
    }
    assert used == set(HELD["secrets"])
    for name, secret in HELD["secrets"].items():
        path = secrets / filled(secret["file"]).removeprefix("./secrets/")
        assert path.is_file(), f"{name}: make-secrets makes no {path.name}"


def test_every_place_of_the_container_that_a_file_names_is_mounted_there():
    files = {
        "mosquitto": ["mosquitto/mosquitto.conf"],
        "lifeline": ["city.toml"],
        "proxy": ["proxy/nginx.conf"],
        "prometheus": ["prometheus/prometheus.yml"],
        "alertmanager": ["alertmanager/alertmanager.yml"],
    }
    for name, paths in files.items():
        service = SERVICES[name]
        text = "".join((DEPLOY / path).read_text() for path in paths) + yaml.safe_dump(service)
        text = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
        given = sources(service)
        for place in set(
            re.findall(r"/run/secrets/[\w./-]+|/etc/(?:prometheus|alertmanager)/[\w./-]+", text)
        ):
            mounted = place in given or any(place.startswith(f"{where}/") for where in given)
            assert mounted, f"{name}: {place} is not mounted"
    assert "/run/secrets/influx/grafana-token" in sources(SERVICES["grafana"])
    wanted = yaml.safe_dump(SERVICES["grafana"]["environment"])
    provisioning = "".join(p.read_text() for p in (ROOT / "grafana/provisioning").rglob("*.yaml"))
    for variable in re.findall(r"\$\{?(LIFELINE_\w+)", provisioning):
        assert variable in wanted, f"grafana/provisioning asks for {variable}"
    for path in re.findall(r"^\s*path: (/\S+)", provisioning, re.MULTILINE):
        assert any(
            f"{path}/".startswith(f"{inside}/") for inside in sources(SERVICES["grafana"])
        ), f"grafana/provisioning reads {path}: mount it"


def test_no_secret_stands_in_an_environment_or_on_a_command_line():
    for name, service in SERVICES.items():
        for key, value in service.get("environment", {}).items():
            if re.search("PASSWORD|TOKEN|SECRET", key):
                assert "/run/secrets/" in str(value), f"{name}: {key}"
        for word in service.get("command", []):
            assert not re.search("(password|token|secret)=", word, re.IGNORECASE), name


def test_ports_do_not_clash_and_only_the_broker_is_open_to_the_network():
    published, opened = [], set()
    for name, service in SERVICES.items():
        for port in service.get("ports", []):
            address, outside, inside = filled(port).split(":")
            published.append((outside, inside.endswith("/udp")))
            if address != "127.0.0.1":
                opened.add((name, inside))
    assert len(published) == len(set(published))
    assert opened == {("mosquitto", "8883")}


def test_every_service_is_watched_confined_and_limited():
    for name, service in SERVICES.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["logging"]["options"]["max-size"], name
        if name == "setup":  # runs once
            continue
        assert service["restart"] == "unless-stopped", name
        assert service["healthcheck"]["test"][0] == "CMD", name
        assert service["mem_limit"], name
        assert service["user"].split(":")[0] != "0", name
        assert set(service["networks"]) <= set(HELD["networks"]), name
        own = service["image"] == "city-lifeline:local"
        assert own or re.search(r":v?\d+\.\d+\.\d+", service["image"]), f"{name}: pin its image"
    for name, service in SERVICES.items():
        for other, how in service.get("depends_on", {}).items():
            assert other in SERVICES, name
            if how["condition"] == "service_healthy":
                assert "healthcheck" in SERVICES[other]
    assert HELD["networks"]["inside"]["internal"] is True


def test_the_containers_configuration_is_in_order_and_fits_the_others(tmp_path, secrets):
    text = (DEPLOY / "city.toml").read_text(encoding="utf-8")
    write_new_site(tmp_path / "city")
    config = config_of(tmp_path / "city", text.replace("/run/secrets/", f"{secrets}/")).entry
    example = environment()
    assert config.page.origin == example["LIFELINE_ORIGIN"]
    assert config.page.origin.endswith(f":{example['PAGES_PORT']}")
    assert (config.influx.org, config.influx.bucket) == (
        example["LIFELINE_ORG"],
        example["LIFELINE_BUCKET"],
    )
    for host in (config.mqtt.host, config.influx.url.split("//")[1].split(":")[0]):
        assert host in SERVICES
    assert (
        f"http://127.0.0.1:{config.page.port}/healthz"
        in SERVICES["lifeline"]["healthcheck"]["test"][-1]
    )
    assert SERVICES["lifeline"]["ports"][0].endswith(f":{config.coap.port}/udp")


def test_the_image_is_built_from_what_is_there():
    text = (DEPLOY / "Dockerfile").read_text()
    copied = [
        w
        for line in re.findall(r"^COPY (?!--)(.*)$", text, re.MULTILINE)
        for w in line.split()[:-1]
    ]
    assert all((ROOT / path).exists() for path in copied)
    project = (ROOT / "pyproject.toml").read_text()
    packages = yaml.safe_load(re.search(r"^packages = (\[.*\])$", project, re.MULTILINE)[1])
    named = {"pyproject.toml", re.search(r'readme = "(.*)"', project)[1], *packages}
    assert named | {"LICENSE", "requirements"} == set(copied)
    let_in = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    assert {line[1:] for line in let_in if line.startswith("!")} == set(copied)
    bases = re.findall(r"^FROM (\S+)", text, re.MULTILINE)
    assert len(set(bases)) == 1
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-\w+", bases[0])
    user = re.search(r"^USER (\S+)", text, re.MULTILINE)[1]
    assert user == SERVICES["lifeline"]["user"]
    assert SERVICES["lifeline"]["build"] == SERVICES["setup"]["build"]
    assert (DEPLOY / SERVICES["lifeline"]["build"]["context"]).resolve() == ROOT
    assert (ROOT / SERVICES["lifeline"]["build"]["dockerfile"]).exists()
    assert os.access(DEPLOY / "make-secrets", os.X_OK)
