"""An import is applied whole or not at all, wherever it is killed, and overwrites nobody's edit."""

from __future__ import annotations

import json
import os
import signal

import pytest
import yaml

from lifeline.registry_import.apply import alone, finish
from lifeline.registry_import.importing import apply_outcome
from lifeline.registry_import.table import Unreadable
from rules.registry_file import load_registry, registry_bytes, registry_of
from tests.registry_tables import as_yaml, checked, imported, row, write_csv


@pytest.fixture
def city(tmp_path):
    folder = tmp_path / "registry"
    imported(write_csv(tmp_path / "city.csv", [row(i) for i in range(1, 8)]), folder)
    return folder


def test_a_file_written_by_hand_is_taken_over_whole_and_kept_aside(tmp_path):
    folder = tmp_path / "registry"
    folder.mkdir()
    for name, number in (("a", 1), ("b", 2)):
        text = "# by hand\n" + yaml.safe_dump(as_yaml([row(number)]), allow_unicode=True)
        (folder / f"{name}.yaml").write_text(text)
    imported(write_csv(tmp_path / "t.csv", [row(1, port=7), row(2)]), folder)
    assert sorted(p.name for p in folder.glob("*.yaml")) == ["b.yaml", "imported.yaml"]
    (kept,) = folder.glob("a.yaml.before-*")
    assert kept.read_text().startswith("# by hand")
    registry = load_registry(folder)
    assert sorted(registry.channels.port.tolist()) == [1, 7]


def test_killed_between_any_two_steps_the_registry_is_the_old_or_the_new(tmp_path):
    folder = tmp_path / "registry"
    folder.mkdir()
    for name, number in (("a", 1), ("b", 2)):
        text = yaml.safe_dump(as_yaml([row(number)]), allow_unicode=True)
        (folder / f"{name}.yaml").write_text(text)
    path = write_csv(tmp_path / "t.csv", [row(1, port=7), row(2, port=7), row(3)])
    old = registry_bytes(load_registry(folder))
    outcome = checked(path, folder)
    new = registry_bytes(registry_of({"x.yaml": json.dumps(outcome.value)}))
    steps, seen = [], set()
    copies = []

    def copy(step):
        steps.append(step)
        held = tmp_path / f"after-{len(steps)}"
        held.mkdir()
        for item in folder.iterdir():
            os.link(item, held / item.name)
        copies.append(held)

    child = os.fork()
    if child == 0:  # a real kill in the middle of the moves
        count = iter(range(100))
        apply_outcome(
            outcome,
            folder,
            reached=lambda _: os.kill(os.getpid(), signal.SIGKILL) if next(count) == 5 else None,
        )
        os._exit(0)
    assert os.WIFSIGNALED(os.waitpid(child, 0)[1])
    assert registry_bytes(load_registry(folder)) == new
    assert finish(folder)
    assert registry_bytes(load_registry(folder)) == new
    for name, number in (("a", 1), ("b", 2)):
        text = yaml.safe_dump(as_yaml([row(number)]), allow_unicode=True)
        (folder / f"{name}.yaml").write_text(text)
    (folder / "imported.yaml").unlink()
    apply_outcome(outcome, folder, reached=copy)
    for held, step in zip(copies, steps, strict=True):
        found = registry_bytes(load_registry(held))
        assert found in (old, new), step
        assert any(held.glob("*.yaml")), step  # what the configuration looks for
        seen.add(found == new)
        finish(held)
        assert registry_bytes(load_registry(held)) == found, step
        assert not (held / ".import").exists()
        again = checked(path, held)
        assert again.changes.any == (found == old), step
        apply_outcome(again, held)
        assert registry_bytes(load_registry(held)) == new, step
        assert not list(held.glob(".*.new")), step
    assert seen == {True, False}
    assert len(steps) > 6


def test_what_was_changed_by_hand_meanwhile_is_not_overwritten(tmp_path, city):
    outcome = checked(write_csv(tmp_path / "t.csv", [row(1, port=8)]), city)
    (city / "more.yaml").write_text("version: 1\n")
    with pytest.raises(Unreadable, match="was changed since it was compared"):
        apply_outcome(outcome, city)
    outcome = checked(tmp_path / "t.csv", city)
    with alone(city), pytest.raises(Unreadable, match="another import is under way"):
        apply_outcome(outcome, city)
    assert load_registry(city).channels.port[0] == 1
    apply_outcome(outcome, city)
    assert load_registry(city).channels.port[0] == 8


def test_killed_while_the_first_file_is_made_the_decision_counts(tmp_path):
    folder = tmp_path / "registry"
    outcome = checked(write_csv(tmp_path / "t.csv", [row(1)]), folder)
    child = os.fork()
    if child == 0:
        apply_outcome(
            outcome,
            folder,
            reached=lambda step: (
                os.kill(os.getpid(), signal.SIGKILL) if step == "decided" else None
            ),
        )
        os._exit(0)
    assert os.WIFSIGNALED(os.waitpid(child, 0)[1])
    assert not list(folder.glob("*.yaml"))
    assert not checked(tmp_path / "t.csv", folder).changes.any
    apply_outcome(checked(write_csv(tmp_path / "t.csv", [row(2)]), folder), folder)
    assert len(load_registry(folder).channels.id) == 2
