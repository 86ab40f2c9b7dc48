"""What no rule protects is said; an overdue sensor counts as unprotected and is judged still."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from prometheus_client import REGISTRY

from lifeline.clock import Clock
from lifeline.coverage import CalibrationWatch, coverage_of, today_of
from lifeline.site import Site
from rules.language import compile_plan, load_rules
from rules.registry_file import registry_of
from tests.registry_tables import as_yaml, row, write_csv
from tests.terminal import lifeline

RULES = """
version: 1
quality:
- {id: q, kind: range, select: {quantity: temperature}, unit: Cel, suspect: [-40, 80]}
rules:
- {id: gas, kind: threshold, class: safety, fail_loud: true, over_range: red, source: estimate,
   select: {quantity: ch4}, unit: "%{vol}", above: {orange: 1.25, red: 2.5}, message: gas}
- {id: idle, kind: threshold, class: safety, source: estimate, select: {quantity: co},
   unit: mg/m3, above: {red: 50}, message: co}
"""
EXTRA = {"range_low": -40, "range_high": 80, "port": 2}
ROWS = [
    row(1, calibration_due="2026-03-31"),
    row(2, calibration_due="2026-04-01"),
    row(3, state="planned"),
    row(4, state="retired"),
    row(5, quantity="temperature", unit="Cel", **EXTRA),
    row(6, quantity="tilt", unit="deg", **EXTRA),
]


def site():
    registry = registry_of({"a.yaml": json.dumps(as_yaml(ROWS))})
    return Site(registry, compile_plan(load_rules({"r.yaml": RULES}), registry)[0])


def test_coverage_counts_by_domain_and_quantity_and_names_what_is_not_protected():
    held = site()
    found = coverage_of(held.registry, held.plan, rule_ids=("gas", "idle"), today="2026-04-01")
    lines = {line.quantity: line for line in found.lines}
    gas = lines["ch4"]
    assert (gas.channels, gas.ruled, gas.overdue, gas.planned, gas.retired) == (2, 2, 1, 1, 1)
    assert gas.protected == pytest.approx(1 / 3)
    assert (lines["temperature"].quality_only, lines["tilt"].unruled) == (1, 1)
    names = [f"410100-gas-mh-{n:06d}" for n in range(7)]
    assert found.overdue == [f"{names[1]}/ch4-01/vol"]
    assert found.planned == [f"{names[3]}/ch4-01/vol"]
    assert found.retired == [f"{names[4]}/ch4-01/vol"]
    assert found.quality_only == [f"{names[5]}/ch4-01/vol"]
    assert found.unruled_sensors == [f"{names[5]}/ch4-01", f"{names[6]}/ch4-01"]
    assert found.assets_without_safety == [names[5], names[6]]
    assert found.idle_rules == ["idle"]
    assert found.to_json()["lines"][0]["protected"] == round(1 / 3, 6)


def test_the_last_valid_day_is_valid_and_the_rule_judges_on_after_it():
    held = site()
    assert coverage_of(held.registry, held.plan, today="2026-03-31").overdue == []
    overdue = held.registry.channel_row["410100-gas-mh-000001/ch4-01/vol"]
    (rule,) = (r for r in held.plan.channel_rules if r.rule_id == "gas")
    assert overdue in rule.channel


def test_the_gauge_follows_the_clocks_day_in_the_sites_zone():
    clock = Clock()
    evening = datetime(2026, 3, 31, 15, 59, tzinfo=UTC)  # 23:59 in Shanghai
    clock.not_before(int(evening.timestamp() * 1e9))
    clock.city_origin_ns = clock.wall_origin_ns = 0
    stopped = Clock(wall_origin_ns=0, city_origin_ns=int(evening.timestamp() * 1e9), factor=0.0)
    watch = CalibrationWatch(stopped, "Asia/Shanghai")
    held = site()

    def gauge():
        return REGISTRY.get_sample_value("lifeline_calibration_overdue", {"domain": "gas"})

    watch.look(held)
    assert (today_of(stopped, "Asia/Shanghai"), gauge()) == ("2026-03-31", 0)
    stopped.city_origin_ns += 120 * 10**9
    watch.look(held)
    assert (today_of(stopped, "Asia/Shanghai"), gauge()) == ("2026-04-01", 1)


@pytest.fixture
def city(tmp_path):
    folder = tmp_path / "city"
    assert lifeline("init", folder).returncode == 0
    return folder


def test_the_commands_import_export_cover_replace_and_examine(tmp_path, city):
    rows = [row(i, calibration_due="2025-01-31", calibrated_on="2024-01-31") for i in (11, 12)]
    table = write_csv(tmp_path / "new.csv", rows)
    tried = lifeline("registry", "import", table, "--site", city, "--dry-run")
    assert (tried.returncode, "nothing was written" in tried.stderr) == (0, True)
    assert not (city / "registry" / "imported.yaml").exists()
    done = lifeline("registry", "import", table, "--site", city, "--yes", "--json", tmp_path / "j")
    assert done.returncode == 0, done.stderr
    assert "added 2 devices, 2 assets, 2 channels" in done.stderr
    assert len(json.loads((tmp_path / "j").read_text())["added"]) == 6
    assert lifeline("rules", "check", city).returncode == 0
    said = lifeline("doctor", city, "--data", tmp_path / "data").stdout
    assert "2 channels of fail_loud rules overdue" in said
    cover = lifeline("registry", "coverage", "--site", city, "--json", tmp_path / "c")
    assert cover.returncode == 0
    assert len(json.loads((tmp_path / "c").read_text())["overdue"]) == 2
    sensor, new = "410100-gas-mh-000011/ch4-01", "410100-gas-mo-000911"
    moved = lifeline("registry", "replace", sensor, "--device", new, "--site", city, "--yes")
    assert moved.returncode == 0, moved.stderr
    assert "- device 410100-gas-mo-000011: retired, its history stays" in moved.stderr
    out = lifeline("registry", "export", tmp_path / "o.xlsx", "--site", city, "--crs", "gcj02")
    assert out.returncode == 0
    back = lifeline(
        "registry", "import", tmp_path / "o.xlsx", "--site", city, "--crs", "gcj02", "--dry-run"
    )
    assert "added nothing; 0 changed, 0 retired" in back.stderr


def test_a_bad_table_ends_with_2_and_its_problems_as_json(tmp_path, city):
    table = write_csv(tmp_path / "bad.csv", [row(i, unit="kPa") for i in range(101, 170)])
    ran = lifeline("registry", "import", table, "--site", city, "--yes", "--json", tmp_path / "j")
    assert ran.returncode == 2
    assert "… and 19 more; --json FILE has them" in ran.stderr
    assert "69 problems (69 × channel unit); nothing was written" in ran.stderr
    first = json.loads((tmp_path / "j").read_text())["problems"][0]
    assert (first["place"], first["column"], first["value"]) == ("bad.csv O2", "unit", "kPa")
    assert "does not measure ch4, which is kept in %{vol}" in first["message"]
    assert lifeline("registry", "import", tmp_path / "no.csv", "--site", city).returncode == 2
    near = lifeline("registry", "import", table, "--site", city, "--map", "unit=unnit")
    assert 'no field "unnit" (did you mean "unit"' in near.stderr
