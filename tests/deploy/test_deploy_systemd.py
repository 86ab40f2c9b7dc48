"""The units for machines without containers, looked at by systemd's own tools."""

from __future__ import annotations

import re
import shlex
import subprocess

import pytest

from tests import servers
from tests.deploy_files import DEPLOY
from tests.terminal import lifeline

UNIT = DEPLOY / "systemd" / "lifeline.service"
TEXT = UNIT.read_text(encoding="utf-8")


def run(*words):
    program, *rest = words
    words = [servers.program(program), *rest]
    return subprocess.run(words, capture_output=True, text=True, check=False)


@pytest.mark.real
def test_systemd_takes_the_unit(tmp_path):
    """Its program is not installed here; any other does."""
    started = re.search(r"^ExecStart=(\S+)", TEXT, re.MULTILINE)[1]
    unit = tmp_path / "lifeline.service"
    unit.write_text(TEXT.replace(started, "/bin/true"))
    ran = run("systemd-analyze", "verify", "--man=no", unit)
    assert ran.returncode == 0, ran.stderr
    assert "lifeline.service" not in ran.stderr, "an unknown or misplaced key is only a warning"


@pytest.mark.real
def test_the_service_is_well_confined():
    """Exposure at most 2.0 of 10, as systemd counts; sockets alone are more than 1."""
    ran = run("systemd-analyze", "security", "--offline=true", "--threshold=20", UNIT)
    assert ran.returncode == 0, ran.stdout[-400:]


@pytest.mark.real
def test_the_account_and_the_folders_are_made(tmp_path):
    folders = run(
        "systemd-tmpfiles", f"--root={tmp_path}", "--create", DEPLOY / "systemd/tmpfiles.conf"
    )
    assert folders.returncode == 0, folders.stderr
    assert (tmp_path / "etc/lifeline/secrets").stat().st_mode & 0o777 == 0o711
    account = run(
        "systemd-sysusers", f"--root={tmp_path}", "--dry-run", DEPLOY / "systemd/sysusers.conf"
    )
    assert account.returncode == 0, account.stderr
    assert "user 'lifeline'" in account.stdout + account.stderr


def test_its_command_is_one_of_ours_and_its_secrets_are_made(tmp_path):
    words = shlex.split(re.search(r"^ExecStart=(.*)$", TEXT, re.MULTILINE)[1])
    helped = lifeline(words[1], "--help")
    assert helped.returncode == 0
    for option in (w for w in words if w.startswith("--")):
        assert option in helped.stdout
    debian = tmp_path / "secrets"
    subprocess.run([DEPLOY / "make-secrets", debian], check=True, capture_output=True)
    made = {p.name for p in debian.iterdir()} | {"influx-token"}  # by `lifeline influx setup`
    for name, path in re.findall(r"^LoadCredential=([\w.-]+):(\S+)$", TEXT, re.MULTILINE):
        assert path == f"/etc/lifeline/secrets/{name}"
        assert name in made
