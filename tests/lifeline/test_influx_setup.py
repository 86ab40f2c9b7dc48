"""`lifeline influx setup` and `migrate`: everything once, told line by line, nothing removed."""

import stat

import pytest
from typer.testing import CliRunner

from lifeline.cli import EXIT_CODE, _for_a_person
from lifeline.cli.app import app
from lifeline.new_site import write_new_site
from tests import influx_two

BUCKETS = ["lifeline", "lifeline_features", "lifeline_1m", "lifeline_1h"]
DAY = 86_400


@pytest.fixture
def server():
    with influx_two.running() as running:
        yield running


class City:
    """A city's folder whose [influx] leads to ``server``."""

    def __init__(self, folder, server):
        write_new_site(folder / "city")
        self.folder, self.server = folder / "city", server
        self.admin = folder / "admin-token"
        self.admin.write_text(server.token("city") + "\n")
        self.plain = (self.folder / "city.toml").read_text()
        self.keys()

    def keys(self, text='token_file = "secrets/influx"\n'):
        table = f'[influx]\nurl = "{self.server.url}"\norg = "city"\nbucket = "lifeline"\n'
        (self.folder / "city.toml").write_text(self.plain + table + text)

    def more(self, text):
        self.keys('token_file = "secrets/influx"\n' + text)

    def run(self, command, *options):
        """Return (exit code, lines) as `lifeline` itself would give them."""
        given = ["influx", command, "--site", str(self.folder), *options]
        if command != "check":
            given += ["--admin-token-file", str(self.admin)]
        result = CliRunner().invoke(app, given)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            assert _for_a_person(result.exception), result.exception
            return EXIT_CODE, str(result.exception).splitlines()
        return result.exit_code, result.output.splitlines()

    @property
    def store_token(self):
        return (self.folder / "secrets" / "influx").read_text().strip()

    @property
    def grafana_token(self):
        return (self.folder / "secrets" / "grafana-token").read_text().strip()


@pytest.fixture
def city(tmp_path, server):
    return City(tmp_path, server)


def test_one_command_makes_everything_and_says_so_line_by_line(city, server):
    code, lines = city.run("setup")
    assert (code, lines[0]) == (0, "org city: exists")
    assert "bucket lifeline: created, keeps 90d" in lines
    assert "task lifeline_1h: created" in lines
    assert lines[-1] == "schema 2: marked on bucket lifeline"
    keeps = {b["name"]: b["retentionRules"][0]["everySeconds"] for b in server.buckets.values()}
    assert keeps == dict(zip(BUCKETS, (90 * DAY, 400 * DAY, 400 * DAY, 3650 * DAY), strict=True))
    names = {(m["database"], m["retention_policy"], m["default"]) for m in server.dbrps.values()}
    assert names == {(b, "autogen", True) for b in BUCKETS}
    assert [(t["name"], t["status"]) for t in server.tasks.values()] == [
        ("lifeline_1m", "active"),
        ("lifeline_1h", "active"),
    ]


def test_a_second_run_changes_nothing_and_says_so(city, server):
    city.run("setup")
    server.changes.clear()
    code, lines = city.run("setup")
    assert (code, lines[-1]) == (0, "nothing to change")
    assert server.changes == []
    assert all(": exists" in line or "marked on" in line for line in lines[:-1])


def test_a_dry_run_tells_all_of_it_and_changes_nothing(city, server):
    code, lines = city.run("setup", "--dry-run")
    assert code == 0
    assert "bucket lifeline_1m: to be created, keeps 400d" in lines
    assert server.changes == []
    assert not (city.folder / "secrets").exists()


def test_an_org_that_is_missing_is_made(city, server):
    server.orgs[server.org("city")]["name"] = "another"
    code, lines = city.run("setup")
    assert (code, lines[0]) == (0, "org city: created")
    assert city.run("setup")[1][-1] == "nothing to change"


def test_tokens_have_the_least_rights_and_stand_in_files_of_their_own(city, server):
    _, lines = city.run("setup")
    ids = {name: server.bucket(name)["id"] for name in BUCKETS}
    reads = {("read", "buckets", i) for i in ids.values()}
    assert server.tokens[city.grafana_token]["rights"] == reads
    assert server.tokens[city.store_token]["rights"] == reads | {
        ("write", "buckets", ids["lifeline"]),
        ("write", "buckets", ids["lifeline_features"]),
        *(("read", "tasks", task) for task in server.tasks),
    }
    for file in (city.folder / "secrets").iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert any(str(file) in line for line in lines)
    said = "\n".join(lines)
    assert city.store_token not in said
    assert city.grafana_token not in said


def test_retention_is_lengthened_and_only_shortened_when_asked(city, server):
    city.run("setup")
    city.more('keep = "30d"\nminutes_keep = "800d"\n')
    code, lines = city.run("setup")
    assert code == 0
    assert "bucket lifeline_1m: changed retention 400d -> 800d" in lines
    said = "bucket lifeline: exists, keeps 90d and not 30d; --shorten would remove what is older"
    assert said in lines
    assert server.bucket("lifeline")["retentionRules"][0]["everySeconds"] == 90 * DAY
    assert "bucket lifeline: changed retention 90d -> 30d" in city.run("setup", "--shorten")[1]
    assert "City Lifeline schema 2" in server.bucket("lifeline")["description"]


def test_a_bucket_that_keeps_for_ever_is_not_shortened(city, server):
    city.run("setup")
    server.bucket("lifeline_1h")["retentionRules"] = []
    lines = city.run("setup")[1]
    assert any("keeps for ever and not 3650d" in line for line in lines)
    assert server.bucket("lifeline_1h")["retentionRules"] == []


def test_waveforms_get_a_bucket_and_the_token_that_lacks_it_is_told(city, server):
    city.run("setup")
    city.more("waveforms = true\n")
    code, lines = city.run("setup")
    assert code == 1
    assert "bucket lifeline_waveforms: created, keeps 7d" in lines
    (line,) = [text for text in lines if "secrets/influx: it may not" in text]
    assert "write to lifeline_waveforms" in line
    assert f"move {city.folder / 'secrets/influx'} away" in line
    for file in (city.folder / "secrets").iterdir():
        file.unlink()
    code, lines = city.run("setup")
    assert code == 0
    assert any("revoke the earlier 'City Lifeline store of lifeline'" in text for text in lines)
    assert city.run("setup")[1][-1] == "nothing to change"


def test_a_task_that_was_changed_or_stopped_is_put_right(city, server):
    city.run("setup")
    flux = server.task("lifeline_1m")["flux"]
    server.task("lifeline_1m")["flux"] = flux.replace("10m", "2m")
    server.task("lifeline_1h")["status"] = "inactive"
    lines = city.run("setup")[1]
    assert "task lifeline_1m: changed its Flux" in lines
    assert "task lifeline_1h: changed status inactive -> active" in lines
    assert server.task("lifeline_1m")["flux"] == flux
    assert server.task("lifeline_1h")["status"] == "active"


def test_a_city_too_large_for_tasks_can_do_without_them(city, server):
    city.more("down_sample = false\n")
    assert city.run("setup")[0] == 0
    assert server.tasks == {}
    assert city.run("setup")[1][-1] == "nothing to change"


def test_mappings_of_other_policies_stay_and_one_to_another_bucket_is_told(city, server):
    city.run("setup")
    ours = next(m for m in server.dbrps.values() if m["database"] == "lifeline")
    ours["retention_policy"] = "90d"
    other = next(m for m in server.dbrps.values() if m["database"] == "lifeline_1h")
    other["bucketID"] = server.bucket("lifeline_1m")["id"]
    third = next(m for m in server.dbrps.values() if m["database"] == "lifeline_1m")
    third["default"] = False
    code, lines = city.run("setup")
    assert code == 1
    assert "mapping lifeline/autogen: created" in lines
    assert "mapping lifeline_1m/autogen: made the default" in lines
    (line,) = [text for text in lines if "leads to another bucket" in text]
    assert f"influx v1 dbrp delete --id {other['id']}" in line
    assert ours["id"] in server.dbrps
    assert not ours["default"]


def test_a_token_file_that_others_may_read_is_told(city):
    city.run("setup")
    (city.folder / "secrets" / "influx").chmod(0o644)
    code, lines = city.run("setup")
    assert code == 1
    assert any("others may read it; chmod 600" in line for line in lines)


def test_a_run_that_breaks_off_is_finished_by_the_next(city, server):
    server.fail["post", "authorizations"] = (500, "no disk")
    code, lines = city.run("setup")
    assert code == EXIT_CODE
    assert "create token 'City Lifeline store of lifeline': 500 no disk" in lines[0]
    assert list((city.folder / "secrets").iterdir()) == []
    assert "schema" not in server.bucket("lifeline")["description"]
    server.fail.clear()
    code, lines = city.run("setup")
    assert code == 0
    assert f"token {city.folder / 'secrets/influx'}: created" in lines
    assert lines[-1] == "schema 2: marked on bucket lifeline"


@pytest.mark.parametrize(
    ("token", "said"),
    [("wrong", "must be an all-access token"), ("", "is empty"), ("reader", "all-access")],
)
def test_an_admin_token_that_will_not_do_is_told_with_the_remedy(city, server, token, said):
    server.token("city", rights=set(), text="reader")
    city.admin.write_text(token)
    code, lines = city.run("setup")
    assert code == EXIT_CODE
    assert said in lines[-1]
    assert server.changes == []


def test_a_configuration_without_token_file_or_server_is_told(city, server):
    city.keys("")
    assert "[influx] must name org and token_file" in city.run("setup")[1][0]
    (city.folder / "city.toml").write_text(city.plain)
    assert "no [influx] table" in city.run("setup")[1][0]
    city.admin.unlink()
    city.keys()
    assert "admin-token: No such file" in city.run("setup")[1][0]


def _older(city, server):
    """Make what earlier versions left: one bucket by hand, a mapping of another policy, points."""
    org = server.org("city")
    server.buckets["b1"] = {
        "id": "b1", "orgID": org, "name": "lifeline", "type": "user", "description": "by Li Wei",
        "retentionRules": [{"type": "expire", "everySeconds": 30 * DAY}],
    }  # fmt: skip
    server.dbrps["d1"] = {
        "id": "d1", "orgID": org, "bucketID": "b1", "database": "lifeline", "default": True,
        "retention_policy": "main", "virtual": False,
    }  # fmt: skip
    server.points["b1", "gas"] = {"value": {"float"}}


def test_an_older_layout_is_not_touched_by_a_setup_but_led_to_the_migration(city, server):
    _older(city, server)
    code, lines = city.run("setup")
    assert code == EXIT_CODE
    assert "lifeline influx migrate --dry-run" in lines[0]
    assert server.changes == []


def test_a_migration_shows_first_and_then_brings_an_older_layout_to_this_one(city, server):
    _older(city, server)
    code, lines = city.run("migrate", "--dry-run")
    assert (code, server.changes) == (0, [])
    assert "bucket lifeline: to change retention 30d -> 90d" in lines
    assert "bucket lifeline_1m: to be created, keeps 400d" in lines
    assert "mapping lifeline/autogen: to be created" in lines
    code, lines = city.run("migrate")
    assert code == 0
    assert server.buckets["b1"]["description"] == "by Li Wei (City Lifeline schema 2)"
    assert ("b1", "gas") in server.points
    assert "d1" in server.dbrps
    assert {b["name"] for b in server.buckets.values()} == set(BUCKETS)
    assert all(method != "delete" for method, _ in server.changes)
    assert city.run("migrate")[1][-1] == "nothing to change"
    assert city.run("setup")[1][-1] == "nothing to change"


def test_an_empty_bucket_somebody_made_is_taken_over_by_a_setup(city, server):
    _older(city, server)
    server.points.clear()
    assert city.run("setup")[0] == 0
    assert server.buckets["b1"]["description"] == "by Li Wei (City Lifeline schema 2)"


def test_a_newer_layout_is_touched_by_neither(city, server):
    _older(city, server)
    server.buckets["b1"]["description"] = "City Lifeline schema 3: who knows"
    for command in ("setup", "migrate"):
        code, lines = city.run(command)
        assert code == EXIT_CODE
        assert "update City Lifeline" in lines[0]
    assert server.changes == []


def test_a_migration_of_nothing_leads_to_the_setup(city):
    assert "lifeline influx setup" in city.run("migrate")[1][0]
