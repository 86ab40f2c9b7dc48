"""An older data folder is migrated or refused with the way to do it; a newer one is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs
from typer.testing import CliRunner

from lifeline import migrations
from lifeline.cli.app import app
from lifeline.data_folder import DataFolder
from lifeline.doctor import examine
from lifeline.errors import NewerFolder, OlderFolder
from lifeline.migrations import VERSION, Migration

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def first(tmp_path: Path) -> Path:
    """A folder as version 1 left it."""
    (tmp_path / "journal").mkdir()
    (tmp_path / "VERSION").write_text("1\n")
    return tmp_path


def version(data: Path) -> str:
    return (data / "VERSION").read_text().strip()


def test_a_step_that_only_adds_is_made_at_start_and_said(first: Path):
    with capture_logs() as logs, DataFolder(first):
        pass
    assert version(first) == str(VERSION)
    assert (first / "corrections").is_dir()
    assert [line["event"] for line in logs] == ["data folder migrated"]
    with capture_logs() as logs, DataFolder(first):
        pass
    assert logs == []


@pytest.fixture
def rewriting(monkeypatch) -> list[Path]:
    """The program of the future: its next version rewrites data."""
    ran: list[Path] = []
    step = Migration(to=VERSION + 1, says="segments are packed", run=ran.append, at_start=False)
    monkeypatch.setattr(migrations, "MIGRATIONS", (*migrations.MIGRATIONS, step))
    monkeypatch.setattr(migrations, "VERSION", VERSION + 1)
    return ran


def test_a_step_that_rewrites_waits_for_the_command(first: Path, rewriting: list[Path], tmp_path):
    with pytest.raises(OlderFolder, match=r"segments are packed.*lifeline migrate"):
        DataFolder(first)
    assert rewriting == []
    run = CliRunner()
    told = run.invoke(app, ["migrate", str(first), "--dry-run"])
    assert "segments are packed" in told.output
    assert rewriting == []
    figures = tmp_path / "f.json"
    done = run.invoke(app, ["migrate", str(first), "--json", str(figures)])
    assert done.exit_code == 0, done.output
    assert rewriting == [first]
    assert version(first) == str(VERSION + 1)
    with DataFolder(first):
        pass


def test_a_crash_within_a_step_repeats_it(first: Path, rewriting: list[Path], monkeypatch):
    def crash(_: Path) -> None:
        raise KeyboardInterrupt

    broken = Migration(to=VERSION + 1, says="x", run=crash, at_start=False)
    with monkeypatch.context() as patched:
        patched.setattr(migrations, "MIGRATIONS", (*migrations.MIGRATIONS[:-1], broken))
        with pytest.raises(KeyboardInterrupt):
            DataFolder(first, migrating=True)
    assert version(first) == str(VERSION)
    with DataFolder(first, migrating=True):
        pass
    assert rewriting == [first]


@pytest.mark.parametrize("text", [str(VERSION + 1), "x", "", "-1"])
def test_a_newer_folder_and_one_of_nobody_are_refused(first: Path, text: str):
    (first / "VERSION").write_text(text)
    with pytest.raises(NewerFolder, match="use the program that wrote them"):
        DataFolder(first)
    assert version(first) == text
    trouble = [f for f in examine(None, first) if f.what == "data version"]
    assert trouble[0].state == "trouble"


def test_one_older_than_any_step_is_refused_with_the_way(first: Path):
    (first / "VERSION").write_text("0")
    with pytest.raises(OlderFolder, match="first with an older program"):
        DataFolder(first)


def test_doctor_says_that_the_next_start_migrates(first: Path):
    (told,) = [f for f in examine(None, first) if f.what == "data version"]
    assert (told.state, told.remedy) == ("note", "the next start migrates it")
