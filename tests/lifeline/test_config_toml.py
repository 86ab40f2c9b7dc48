"""city.toml: every mistake at once, each with its line and its remedy."""

import pytest

from lifeline.new_site import write_new_site
from lifeline.settings.config import config_of, load_config
from rules.problems import Invalid

GOOD = """
[site]
name = "Test"
[mqtt]
host = "broker.example"
"""


@pytest.fixture
def folder(tmp_path):
    write_new_site(tmp_path / "city")
    return tmp_path / "city"


def told(folder, text) -> list[str]:
    with pytest.raises(Invalid) as invalid:
        config_of(folder, text)
    return [str(problem) for problem in invalid.value.problems]


def test_a_new_folder_s_configuration_is_in_order(folder):
    config = load_config(folder)
    assert config.entry.site.timezone == "Asia/Shanghai"
    assert config.entry.page.port == 8480
    assert config.entry.journal.keep == 30 * 86_400 * 10**9


def test_an_unknown_key_is_told_with_its_line_and_the_nearest_name(folder):
    (line,) = told(folder, GOOD + 'client_idd = "other"\n')
    assert line == 'city.toml:6:1: unknown key "client_idd" (did you mean "client_id"?)'


def test_all_mistakes_are_told_at_once(folder):
    lines = told(
        folder,
        GOOD + 'port = 99999\ntlss = true\n[coap]\nport = "x"\n[pages]\nport = 1\n',
    )
    assert [line.split(": ", 1)[0] for line in lines] == [
        "city.toml:6:8",
        "city.toml:7:1",
        "city.toml:9:8",
        "city.toml:10:1",
    ]
    assert 'did you mean "page"' in lines[3]


def test_a_secret_in_the_file_is_refused_with_the_way_to_give_it(folder):
    (line,) = told(folder, GOOD + 'password = "hunter2"\n')
    assert line.startswith("city.toml:6:1: ")
    assert "password_file" in line
    assert "hunter2" not in line


def test_files_and_variables_that_are_missing_are_told(folder, monkeypatch):
    monkeypatch.delenv("NOT_SET_HERE", raising=False)
    text = GOOD + 'password_file = "secrets/none"\n[influx]\nurl = "http://127.0.0.1:1"\n'
    text += 'bucket = "b"\ntoken_env = "NOT_SET_HERE"\n'
    lines = told(folder, text)
    assert "secrets/none cannot be read" in lines[0]
    assert lines[1].startswith("city.toml:10:13: ")
    assert "NOT_SET_HERE is not set" in lines[1]


def test_a_secret_is_read_from_its_file_beside_the_configuration(folder):
    (folder / "secret").write_text("s3cret\n")
    config = config_of(folder, GOOD + 'user = "u"\npassword_file = "secret"\n')
    assert config.secret(config.entry.mqtt.password_file, None) == "s3cret"


BEYOND = '[page]\nbind = "0.0.0.0"\n'
ORIGIN = 'origin = "https://console.example"\n'


def test_the_page_leaves_loopback_only_behind_a_proxy_that_shows_a_token(folder):
    (folder / "token").write_text("x" * 32 + "\n")
    (folder / "short").write_text("x" * 31 + "\n")
    (line,) = told(folder, GOOD + BEYOND)
    assert line.startswith("city.toml:7:8: bind: 0.0.0.0: the page has no login")
    assert "add origin and token_file" in line
    (line,) = told(folder, GOOD + BEYOND + ORIGIN)
    assert "the proxy's token has 0 characters" in line
    (line,) = told(folder, GOOD + BEYOND + ORIGIN + 'token_file = "short"\n')
    assert line.startswith("city.toml:9:14: ")
    assert "31 characters" in line
    (line,) = told(folder, GOOD + BEYOND + 'token_file = "token"\n')
    assert "add origin" in line
    (line,) = told(folder, GOOD + BEYOND + ORIGIN + 'token_file = "absent"\n')
    assert "absent cannot be read" in line
    (line,) = told(folder, GOOD + BEYOND + 'origin = "http://console.example"\n')
    assert line.startswith("city.toml:8:10: ")
    config = config_of(folder, GOOD + BEYOND + ORIGIN + 'token_file = "token"\n')
    assert config.entry.page.bind == "0.0.0.0"  # noqa: S104


def test_the_page_leaves_loopback_with_a_login_of_its_own_and_tls(folder):
    login, tls = "[login]\n", '[tls]\nfolder = "tls"\n'
    (folder / "tls").mkdir()
    for name in ("ca.crt", "page.crt", "page.key"):
        (folder / "tls" / name).write_text("x")
        (folder / "tls" / name).chmod(0o600)
    (line,) = told(folder, GOOD + BEYOND + ORIGIN + login)
    assert "without a proxy write the tables [login] and [tls]" in line
    (line,) = told(folder, GOOD + BEYOND + login)
    assert "the page has no login of its own that TLS protects" in line
    (line,) = told(folder, GOOD + BEYOND + ORIGIN + tls)
    assert "without a proxy write the tables [login] and [tls]" in line
    (line,) = told(folder, GOOD + BEYOND + login + tls)
    assert "as browsers see the page" in line
    config = config_of(folder, GOOD + BEYOND + ORIGIN + login + tls)
    assert config.entry.login.rules.required
    assert config.entry.login.rules.longest_ns == 12 * 3600 * 10**9
    config = config_of(folder, GOOD + '[login]\nidle = "8h"\nlongest = "1d"\n')
    assert config.entry.login.rules.idle_ns == 8 * 3600 * 10**9
    (line,) = told(folder, GOOD + '[login]\nidle = "13h"\n')
    assert line.startswith("city.toml:7:8: idle: is longer than longest")
    (line,) = told(folder, GOOD + '[login]\nidel = "13h"\n')
    assert 'did you mean "idle"' in line


def test_a_city_without_any_source_is_refused(folder):
    (line,) = told(folder, '[site]\nname = "x"\n')
    assert "needs [mqtt] or [coap]" in line


def test_a_wrong_zone_of_time_is_told_with_the_nearest(folder):
    (line,) = told(folder, '[site]\nname = "x"\ntimezone = "Asia/Shangai"\n[coap]\n')
    assert line.startswith("city.toml:3:12: ")
    assert "Asia/Shanghai" in line


def test_the_page_is_refused_any_address_but_loopback(folder):
    (line,) = told(folder, GOOD + '[page]\nbind = "0.0.0.0"\n')
    assert line.startswith("city.toml:7:8: ")


def test_what_is_not_toml_is_told_with_its_line(folder):
    (line,) = told(folder, "[site]\nname = unquoted\n")
    assert line.startswith("city.toml:2:")
    assert "not TOML" in line


def test_a_folder_without_rules_or_registry_is_told(tmp_path):
    lines = told(tmp_path, GOOD)
    assert len(lines) == 2
    assert all("lifeline init" in line for line in lines)


def test_folders_are_watched_only_where_the_file_says_so(folder):
    assert load_config(folder).watched == ()
    path = folder / "city.toml"
    path.write_text(path.read_text() + "\n[reload]\nwatch = true\n")
    config = load_config(folder)
    assert config.watched == (config.registry, config.rules)
