"""A maintainer gets what is needed in one file; no secret and no reading is in it."""

from __future__ import annotations

import json
import tarfile
from typing import TYPE_CHECKING

import pytest
from tests.torture import Ports, write_site
from typer.testing import CliRunner

from ingest.journal import JournalWriter
from lifeline.cli.app import app
from lifeline.data_folder import DataFolder
from lifeline.support_bundle import REMOVED, Cleaner
from rules.readings import Readings, Tick

if TYPE_CHECKING:
    from pathlib import Path

SECRETS = (
    "hunter2-mqtt",
    "influx-Zm9vYmFy",
    "hook-from-env",
    "page-token-0123456789abcdef01234567",
)


@pytest.fixture
def city(tmp_path: Path, monkeypatch) -> Path:
    """A city whose logs talk too much."""
    site = tmp_path / "city"
    write_site(site, Ports(1883, 5683, 8480, "http://127.0.0.1:8086"))
    for name, secret in (("mqtt", SECRETS[0]), ("influx", SECRETS[1]), ("page", SECRETS[3])):
        (site / name).write_text(secret + "\n")
    monkeypatch.setenv("HOOK_SECRET", SECRETS[2])
    text = (site / "city.toml").read_text().replace('token_file = "token"', 'token_file = "influx"')
    text = text.replace("[mqtt]\n", '[mqtt]\nuser = "u"\npassword_file = "mqtt"\n')
    text = text.replace("[page]\n", '[page]\norigin = "https://o"\ntoken_file = "page"\n')
    text += '[webhook]\nurl = "https://hook.example/send?access_token=abc123"\n'
    text += 'secret_env = "HOOK_SECRET"\n'
    (site / "city.toml").write_text(text)
    data = site / "data"
    with DataFolder(data):
        pass
    with JournalWriter(data / "journal") as journal:
        journal.append(Tick(5))
        journal.append(Readings.of({"channel": [0], "judged_ns": [6], "value": [1234.5678]}))
        journal.commit()
    lines = [f"connected with {secret}" for secret in SECRETS]
    lines += [
        "Authorization: Token c2VjcmV0LXRva2Vu",
        "http://me:pass-in-url@host/x",
        "all is well",
    ]
    (data / "log" / "ingest.log").write_text("\n".join(lines) + "\n")
    return site


def bundled(city: Path, *words: str) -> dict[str, bytes]:
    file = city.parent / "b.tar.gz"
    done = CliRunner().invoke(app, ["support-bundle", str(file), "--site", str(city), *words])
    assert done.exit_code == 0, (done.output, done.exception)
    assert "不含密钥" in done.output
    with tarfile.open(file) as bundle:
        parts = {m.name: bundle.extractfile(m) for m in bundle.getmembers()}
        return {name.removeprefix("lifeline-support/"): f.read() for name, f in parts.items() if f}


def test_no_secret_stands_in_any_part(city: Path):
    whole = b"\n".join(bundled(city, "--readings").values())
    for secret in (*SECRETS, "abc123", "c2VjcmV0LXRva2Vu", "pass-in-url"):
        assert secret.encode() not in whole, secret
    assert whole.count(REMOVED.encode()) >= 7


def test_it_holds_what_a_maintainer_asks_for(city: Path):
    parts = bundled(city)
    wanted = {"versions.json", "doctor.json", "city.toml", "metrics.txt", "data.json"}
    wanted |= {"journal.json", "events.json", "log/ingest.log"}
    assert wanted <= set(parts)
    assert "numpy" in json.loads(parts["versions.json"])["packages"]
    journal = json.loads(parts["journal.json"])
    assert (journal["first_offset"], journal["end"], journal["last_time_ns"]) == (0, 2, 6)
    assert journal["kinds_of_the_last"] == {"records": 2, "Tick": 1, "Readings": 1}
    assert any(f["what"] == "data version" for f in json.loads(parts["doctor.json"]))
    assert b'name = "Torture"' in parts["city.toml"]
    assert b"all is well" in parts["log/ingest.log"]
    assert b"lifeline_journal" in parts["metrics.txt"]


def test_readings_go_only_when_asked_for(city: Path):
    assert not [name for name in bundled(city) if name.startswith("readings/")]
    with_them = bundled(city, "--readings")
    assert [name for name in with_them if name.endswith(".seg")] == [f"readings/{0:020}.seg"]


def test_a_broken_city_is_bundled_too_and_its_secret_removed(city: Path):
    text = (city / "city.toml").read_text() + '[mqqt]\npassword = "in-the-clear"\n'
    (city / "city.toml").write_text(text)
    (city / "data" / "cursors" / "ingest").write_bytes(b"?")
    (city / "data" / "journal" / "durable").unlink()
    parts = bundled(city)
    assert b"in-the-clear" not in b"\n".join(parts.values())
    assert b"secrets do not stand in city.toml" in parts["configuration.txt"]


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("password = x\nport = 1883", "port = 1883"),
        ('  "token": "abcd"', '"token": ' + REMOVED),
        ("token_file = secrets/influx", "token_file = secrets/influx"),
        ("https://h/p?key=1 and more", "https://h/p?" + REMOVED + " and more"),
    ],
)
def test_what_looks_like_a_secret_goes_and_the_rest_stays(text: str, kept: str):
    assert kept in Cleaner().clean(text)
