"""Alerts on the pipeline: tried by promtool, routed by amtool, on metrics that there are."""

from __future__ import annotations

import re
import subprocess

import pytest
import yaml
from prometheus_client import REGISTRY

import ingest.metrics
import ingest.store.metrics
import lifeline.engine_process
import lifeline.metrics
import lifeline.retention
import lifeline.time_source
from lifeline.processes import NAMES
from lifeline.supervisor import COUNTED
from tests import servers
from tests.deploy_files import DEPLOY, ROOT, compose, rewritten

RULES = DEPLOY / "prometheus" / "rules" / "pipeline.yml"
TESTS = DEPLOY / "prometheus" / "tests" / "pipeline.yml"
ALERTS = [r for g in yaml.safe_load(RULES.read_text())["groups"] for r in g["rules"]]
COUNTING = (
    ingest.metrics,
    ingest.store.metrics,
    lifeline.engine_process,
    lifeline.metrics,
    lifeline.retention,
    lifeline.time_source,
)


def run(*words):
    program, *rest = words
    words = [servers.program(program), *rest]
    return subprocess.run(words, capture_output=True, text=True, check=False)


@pytest.mark.real
def test_each_alert_fires_when_it_should_and_a_healthy_pipeline_is_quiet():
    ran = run("promtool", "test", "rules", TESTS)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_no_alert_is_left_untried():
    tried = yaml.safe_load(TESTS.read_text())["tests"]
    fired = {
        case["alertname"]
        for test in tried
        for case in test["alert_rule_test"]
        if case.get("exp_alerts")
    }
    quiet = {case["alertname"] for case in tried[0]["alert_rule_test"]}
    assert fired == quiet == {alert["alert"] for alert in ALERTS}


def counted() -> dict[str, set[str]]:
    """Return {name of a sample: its labels} of all that is counted, with samples or not."""
    assert all(module.__name__ for module in COUNTING)
    found = {}
    for registry in (REGISTRY, COUNTED):
        for collector, names in registry._collector_to_names.items():
            labels = set(getattr(collector, "_labelnames", ()))
            found |= dict.fromkeys(names, labels)
    return found


def test_alerts_ask_for_metrics_and_labels_that_there_are():
    known = counted()
    for alert in ALERTS:
        for name, labels in re.findall(r"\b(lifeline_\w+)\{([^}]*)\}", alert["expr"]):
            assert name in known, f"{alert['alert']}: nothing counts {name}"
            asked = dict(re.findall(r'(\w+)="([^"]*)"', labels))
            assert asked.pop("process") in (*NAMES, "supervisor")
            assert set(asked) <= known[name], f"{alert['alert']}: {name} has no {asked}"
        bare = re.findall(r"\blifeline_\w+(?!\w*\{)\b", alert["expr"])
        assert not bare, f"{alert['alert']}: {bare}: other processes show the same name as 0"


def test_every_alert_is_told_in_two_languages_and_has_its_chapter_in_the_runbook():
    chapters = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
    anchors = {anchor(title) for title in re.findall(r"^## (.*)$", chapters, re.MULTILINE)}
    used = set()
    for alert in ALERTS:
        assert alert["labels"]["severity"] in ("critical", "warning", "alive")
        notes = alert["annotations"]
        assert re.search(r"[\u4e00-\u9fff]", notes["summary_zh"])
        assert not re.search(r"[\u4e00-\u9fff]", notes["summary"])
        page, name = notes["runbook"].split("#")
        assert page == "docs/runbook.md"
        assert name in anchors, f"{alert['alert']}: docs/runbook.md has no chapter {name}"
        used.add(name)
    assert anchors == used, "a chapter that no alert leads to"


def anchor(title: str) -> str:
    return title.strip().lower().replace(" ", "-")


@pytest.mark.real
def test_prometheus_takes_its_configuration(tmp_path, secrets):
    text = rewritten(
        DEPLOY / "prometheus" / "prometheus.yml",
        {"/run/secrets/": f"{secrets}/", "/etc/prometheus/": f"{DEPLOY}/prometheus/"},
    )
    (tmp_path / "prometheus.yml").write_text(text)
    ran = run("promtool", "check", "config", tmp_path / "prometheus.yml")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert f"{len(ALERTS)} rules found" in ran.stdout
    services = compose()["services"]
    for job in yaml.safe_load(text)["scrape_configs"]:
        host = job["static_configs"][0]["targets"][0].split(":")[0]
        assert host in services or host == "localhost"


@pytest.mark.real
def test_alertmanager_takes_its_configuration_and_wakes_people_for_what_is_critical():
    config = DEPLOY / "alertmanager" / "alertmanager.yml"
    ran = run("amtool", "check-config", config)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    for severity, receiver in (
        ("critical", "on-call"),
        ("warning", "working-hours"),
        ("alive", "watcher-outside"),
    ):
        asked = ["config", "routes", "test", "--config.file", config]
        ran = run("amtool", *asked, "alertname=LifelineBlind", f"severity={severity}")
        assert ran.stdout.strip() == receiver, ran.stderr
