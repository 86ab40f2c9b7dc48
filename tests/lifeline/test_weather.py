"""[weather.NAME] of city.toml, and the worked example of docs/weather.md."""

import re
from pathlib import Path

import pytest

from ingest.admission import Admission
from ingest.codecs.mapping_file import mappings_of
from ingest.frame import Frame
from lifeline.doctor import examine
from lifeline.new_site import write_new_site
from lifeline.settings.config import config_of
from lifeline.settings.weather_entries import feed_of, pulls_of, topic_of, warnings_key_of
from rules.language import compile_plan, load_rules
from rules.problems import Invalid
from rules.registry_file import registry_of
from tests.ingest.test_pull import BODY, server

PAGE = Path(__file__).parents[2] / "docs" / "weather.md"
DEVICE = "410100-env-ws-000001"
GOOD = f"""
[site]
name = "Test"
[mqtt]
host = "broker.example"
[weather.bureau]
device = "{DEVICE}"
"""


@pytest.fixture
def folder(tmp_path):
    write_new_site(tmp_path / "city")
    (tmp_path / "city" / "key").write_text("https://weather.example/now?key=0123456789abcdef\n")
    return tmp_path / "city"


def block(kind):
    return re.search(rf"```{kind}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)[1]


def test_the_page_s_example_gives_readings_of_the_station():
    registry = registry_of({"station.yaml": block("yaml registry")})
    admission = Admission(registry, mappings=mappings_of({"weather.yaml": block("yaml mapping")}))
    frame = Frame(block("json").encode(), "pull", f"pull/bureau/{DEVICE}", 1_784_535_000 * 10**9)
    admitted = admission.admit([frame])
    assert admitted.quarantined == ()
    ids = [registry.channels.id[row] for row in admitted.readings.channel]
    assert [name.rsplit("/", 1)[1] for name in ids] == ["rain", "temp", "wind"]
    assert admitted.readings.value.tolist() == [38.5, 26.1, 7.2]
    assert set(admitted.readings.event_ns.tolist()) == {1_784_535_000 * 10**9}
    rules = load_rules({"weather.yaml": block("yaml rules")})
    plan, _ = compile_plan(rules, registry)
    assert [len(rule.channel) for rule in plan.channel_rules] == [1]


def test_the_page_s_table_is_a_configuration(folder):
    (folder / "secrets").mkdir(exist_ok=True)
    (folder / "secrets" / "weather-token").write_text("t0ken-of-the-bureau\n")
    head = GOOD.split("[weather", maxsplit=1)[0]
    (pull,) = pulls_of(config_of(folder, head + block("toml")))
    assert pull.path == f"pull/bureau/{DEVICE}"
    assert pull.every_s == 600
    assert pull.headers == {"Authorization": "Bearer t0ken-of-the-bureau"}


def test_the_page_s_table_of_warnings_is_a_configuration(folder):
    (folder / "secrets").mkdir(exist_ok=True)
    (folder / "secrets" / "warnings-key").write_text("0123456789abcdef0123456789abcdef\n")
    config = config_of(folder, GOOD.split("[weather", maxsplit=1)[0] + block("toml warnings"))
    assert feed_of(config).hosts == ("cap.example.org",)
    assert topic_of(config).topic == "warnings/cap"
    assert topic_of(config).host == "broker.example"
    assert warnings_key_of(config) == b"0123456789abcdef0123456789abcdef"
    assert "abcdef" not in repr(feed_of(config))


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("", "no way in"),
        ('url = "http://warnings.example/cap"\n', "only https:// is asked"),
        ('topic = "lifeline/v1/x/up"\n', "the devices'"),
        ('topic = "warnings/+"\n', "topic"),
        ('secret_file = "short"\n', "6 characters"),
        ('secret = "x"\n', "secret_file"),
        ('url = "https://a.example/"\nsenders = ["a b"]\n', "senders"),
    ],
)
def test_a_wrong_table_of_warnings_is_told_with_its_remedy(folder, lines, said):
    (folder / "short").write_text("abcdef")
    head = GOOD.split("[weather", maxsplit=1)[0]
    with pytest.raises(Invalid) as invalid:
        config_of(folder, head + "[warnings]\n" + lines)
    assert said in str(invalid.value.problems[0])


def test_an_address_with_a_key_stands_in_a_file(folder):
    (pull,) = pulls_of(config_of(folder, GOOD + 'url_file = "key"\nheader = "X-Key"\n'))
    assert pull.url == "https://weather.example/now?key=0123456789abcdef"
    assert "0123456789abcdef" not in repr(pull)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("", "write one of url"),
        ('url = "https://a.example/"\nurl_file = "key"\n', "write one of url"),
        ('url = "http://weather.example/now"\n', "only https:// is asked"),
        ('url = "https://u:p@weather.example/now"\n', "without a user or password"),
        ('url = "ftp://weather.example/now"\n', "no address"),
        ('url = "https://weather.example/now?apikey=abc"\n', "put the address into a file"),
        ('url_file = "missing"\n', "cannot be read"),
        ('url = "https://a.example/"\nevery = "1s"\n', "every"),
        ('url = "https://a.example/"\ntoken = "x"\n', "token_file"),
    ],
)
def test_a_wrong_address_is_told_with_its_remedy(folder, lines, said):
    with pytest.raises(Invalid) as invalid:
        config_of(folder, GOOD + lines)
    (problem,) = invalid.value.problems
    assert said in str(problem)
    assert "city.toml:" in str(problem)


@pytest.mark.parametrize(("status", "state"), [(200, "ok"), (500, "trouble")])
def test_doctor_asks_each_address(folder, status, state):
    with server((status, BODY)) as (url, _):
        (folder / "city.toml").write_text(
            f'[site]\nname = "T"\n[coap]\n[weather.bureau]\ndevice = "{DEVICE}"\nurl = "{url}"\n'
        )
        (finding,) = [each for each in examine(folder) if each.what == "weather bureau"]
    assert finding.state == state
    assert ("HTTP 500" in finding.found) == (status == 500)
