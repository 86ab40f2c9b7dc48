"""make-secrets: everything once, for one reader each, nothing told."""

from __future__ import annotations

import os
import re
import subprocess

import pytest

from tests.deploy_files import DEPLOY, GATEWAY, compose

SCRIPT = DEPLOY / "make-secrets"
PUBLIC = {"ca.crt", "mqtt.crt", "page.crt"}


def make(*words):
    return subprocess.run([SCRIPT, *words], capture_output=True, text=True, check=False)


def contents(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_second_run_changes_nothing_and_a_new_gateway_is_added(tmp_path):
    folder = tmp_path / "secrets"
    assert make(folder).returncode == 0
    before = contents(folder)
    again = make(folder)
    assert again.returncode == 0
    assert "made " not in again.stdout
    assert contents(folder) == before
    assert make("--gateway", GATEWAY, folder).returncode == 0
    after = contents(folder)
    changed = {str(name) for name in after if after[name] != before.get(name)}
    assert changed == {f"gateways/{GATEWAY}", "mqtt-users"}
    users = (folder / "mqtt-users").read_text().splitlines()
    assert [line.split(":")[0] for line in users] == ["lifeline", "health", GATEWAY]


def test_a_removed_secret_is_made_anew_and_its_old_password_is_void(tmp_path):
    folder = tmp_path / "secrets"
    make("--gateway", GATEWAY, folder)
    old, inode = (folder / "mqtt-users").read_text(), (folder / "mqtt-users").stat().st_ino
    (folder / "gateways" / GATEWAY).unlink()
    (folder / "operators" / "operator").unlink()
    (folder / "page-token").unlink()
    assert make("--gateway", GATEWAY, "--operator", "operator", folder).returncode == 0
    new = (folder / "mqtt-users").read_text()
    assert (folder / "mqtt-users").stat().st_ino == inode, "a container holds the file itself"
    assert [line.split(":")[0] for line in new.splitlines()].count(GATEWAY) == 1
    assert {line for line in old.splitlines() if GATEWAY not in line} < set(new.splitlines())
    assert (folder / "page-users").read_text().count("operator:") == 1
    token = (folder / "page-token").read_text().strip()
    assert token in (folder / "page-token-proxy").read_text()
    assert token in (folder / "page-token-prometheus").read_text()


def test_secrets_are_readable_for_their_one_reader_and_are_not_told(tmp_path):
    folder = tmp_path / "secrets"
    told = make("--gateway", GATEWAY, folder)
    for path in folder.rglob("*"):
        mode = path.stat().st_mode & 0o777
        if path.is_dir():
            assert mode == 0o700, path
        elif path.name in PUBLIC:
            assert mode == 0o644, path
        else:
            assert mode == 0o600, path
            for word in re.findall(r"[0-9a-f]{48}", path.read_text()):
                assert word not in told.stdout + told.stderr, path


@pytest.mark.skipif(os.getuid() != 0, reason="only root gives files away")
def test_each_secret_belongs_to_the_account_its_container_runs_as(secrets):
    subprocess.run([SCRIPT, secrets], check=True, capture_output=True)  # the tokens came later
    held = compose()
    readers: dict[str, set[str]] = {}
    for name, service in held["services"].items():
        for secret in service.get("secrets", []):
            source = secret["source"] if isinstance(secret, dict) else secret
            if name != "setup":  # root, with the right to read what is not its own
                readers.setdefault(source, set()).add(service["user"].split(":")[0])
    for source, users in readers.items():
        path = secrets / held["secrets"][source]["file"].split("}/")[1]
        public = path.name in PUBLIC
        assert public or users == {str(path.stat().st_uid)}, f"{source}: read by {users}"


def test_certificates_bear_the_names_they_are_reached_by(secrets):
    for name in ("mqtt", "page"):
        words = ["openssl", "x509", "-noout", "-ext", "subjectAltName", "-in"]
        said = subprocess.run([*words, secrets / f"{name}.crt"], capture_output=True, check=True)
        for host in ("DNS:mosquitto", "DNS:localhost", "127.0.0.1", "DNS:gateway.example"):
            assert host in said.stdout.decode()
        words = ["openssl", "verify", "-purpose", "sslserver", "-CAfile", secrets / "ca.crt"]
        subprocess.run([*words, secrets / f"{name}.crt"], check=True, capture_output=True)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--gateway", "../x"], "only letters, digits"),
        (["--gateway"], "give its value"),
        (["--gatewy", "x"], "no such option"),
        (["a", "b"], "one folder only"),
    ],
)
def test_a_wrong_word_is_told_and_makes_nothing(tmp_path, words, said):
    ran = subprocess.run(
        [SCRIPT, *words], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert ran.returncode == 2
    assert said in ran.stderr
    assert not list(tmp_path.iterdir())
    assert not (DEPLOY / "secrets").exists()
