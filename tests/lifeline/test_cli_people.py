"""``lifeline people``: accounts from a terminal, passwords and tokens by files only."""

from __future__ import annotations

import json
import stat

import pytest

from lifeline.ledger import Ledger
from lifeline.people.doorman import Doorman, LoginRules
from lifeline.people.roles import Role
from tests.lifeline.people_kit import PASSWORD
from tests.terminal import lifeline


@pytest.fixture
def folder(tmp_path):
    Ledger(f"sqlite:///{tmp_path / 'ledger.sqlite'}").close()
    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    return tmp_path


def people(folder, *words, ends=0):
    ran = lifeline("people", *words, "--in", folder)
    assert ran.returncode == ends, ran.stderr
    assert PASSWORD not in ran.stdout + ran.stderr
    return ran.stdout + ran.stderr


def door(folder) -> Doorman:
    return Doorman(Ledger(f"sqlite:///{folder / 'ledger.sqlite'}"), LoginRules())


def test_an_account_is_added_scoped_changed_and_disabled(folder):
    file = ("--password-file", folder / "password")
    assert "nobody for a login" in people(folder, "list")
    said = people(folder, "add", "Li", "--role", "operator", "--owner", "gas-firm", *file)
    assert "the first account" in said
    assert "the first account" not in people(folder, "add", "wang", "--role", "admin", *file)
    (li, _) = json.loads(people(folder, "list", "--json"))
    assert (li["login"], li["role"], li["owners"], li["password"]) == (
        "li", "operator", ["gas-firm"], True,
    )  # fmt: skip
    assert door(folder).log_in("li", PASSWORD, address="")[1].role is Role.OPERATOR
    people(folder, "role", "li", "engineer", "--whole-city")
    (li, _) = json.loads(people(folder, "list", "--json"))
    assert (li["role"], li["owners"]) == ("engineer", [])
    people(folder, "disable", "li")
    assert "disabled" in people(folder, "list")
    people(folder, "disable", "li", "--undo")
    actions = [json.loads(line)["action"] for line in people(folder, "log", "--json").splitlines()]
    assert actions == ["added", "added", "login", "changed", "changed", "changed"]


def test_a_token_goes_into_a_file_for_its_owner_alone_and_is_listed_and_revoked(folder):
    people(folder, "add", "bot", "--role", "operator", "--program")
    out = folder / "token"
    said = people(folder, "token", "bot", "--label", "wall board", "--out", out, "--for", "7d")
    secret = out.read_text().strip()
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert secret not in said
    assert door(folder).by_token(secret).role is Role.VIEWER
    (token,) = json.loads(people(folder, "tokens", "--json"))
    assert token["label"] == "wall board"
    assert secret not in json.dumps(token)
    people(folder, "tokens", "--revoke", token["id"])
    assert door(folder).by_token(secret) is None
    too_much = ("token", "bot", "--label", "x", "--out", out, "--role", "admin")
    assert "cannot be more" in people(folder, *too_much, ends=2)


def test_what_cannot_be_is_told_with_what_can_and_changes_nothing(folder):
    (folder / "short").write_text("short\n")
    short = ("--password-file", folder / "short")
    assert "12 to 256" in people(folder, "add", "li", "--role", "viewer", *short, ends=2)
    none = ("--password-file", folder / "none")
    assert "cannot be read" in people(folder, "add", "li", "--role", "viewer", *none, ends=2)
    said = people(folder, "add", "li", "--role", "viewer", ends=2)
    assert "--password-file" in said, "there is no terminal"
    assert "no account 'li'" in people(folder, "disable", "li", ends=2)
    assert json.loads(people(folder, "list", "--json")) == []


def test_a_folder_that_is_no_citys_and_a_city_toml_with_mistakes_are_refused(tmp_path):
    assert "no ledger.sqlite" in people(tmp_path, "list", ends=2)
    (tmp_path / "city.toml").write_text("[site]\n")
    assert "city.toml" in people(tmp_path, "list", ends=2)
    assert not (tmp_path / "data").exists()


def test_no_command_takes_a_password_as_an_argument():
    for command in ("add", "password"):
        assert "--password " not in lifeline("people", command, "--help").stdout
