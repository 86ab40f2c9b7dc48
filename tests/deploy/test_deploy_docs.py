"""What the pages tell people to type, the program has; what they point to is there."""

from __future__ import annotations

import re
import shlex

import pytest
import typer

from lifeline.cli.app import app
from lifeline.new_site import REGISTRY
from tests.deploy_files import DEPLOY, GATEWAY, ROOT, compose

PAGES = [
    ROOT / "docs" / "deploy.md",
    ROOT / "docs" / "deploy.zh-CN.md",
    ROOT / "docs" / "runbook.md",
]
OURS = ("lifeline", "/opt/lifeline/bin/lifeline", "city-lifeline:local")
ROOT_COMMAND = typer.main.get_command(app)


def typed(page) -> list[str]:
    """Return the command lines of a page: what stands in fences without a language."""
    lines, fence = [], None
    for line in page.read_text(encoding="utf-8").splitlines():
        if line.lstrip().startswith("```"):
            fence = None if fence is not None else line.strip("` ")
        elif fence == "":
            lines.append(line)
    return "\n".join(lines).replace("\\\n", " ").splitlines()


def commands(page) -> list[list[str]]:
    """Return the words after ``lifeline`` of every command line."""
    found = []
    for line in typed(page):
        for part in line.split("; "):
            words = shlex.split(part)
            ours = [k for k, word in enumerate(words) if word in OURS]
            after = words[ours[-1] + 1 :] if ours else []
            if after and not after[0].startswith("-"):  # else it is a service's name
                found.append(after)
    return found


def check(words: list[str]) -> None:
    """Follow the words down the commands; an unknown command or option is a mistake."""
    command = ROOT_COMMAND
    rest = list(words)
    while hasattr(command, "commands"):
        name = rest.pop(0)
        assert name in command.commands, f"lifeline {' '.join(words)}: there is no {name!r}"
        command = command.commands[name]
    options = {o: p for p in command.params if p.param_type_name == "option" for o in p.opts}
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    plain = []
    while rest:
        word = rest.pop(0)
        if not word.startswith("-"):
            plain.append(word)
            continue
        assert word in options, f"lifeline {' '.join(words)}: there is no option {word}"
        if not options[word].is_flag:
            assert rest, f"{word} wants a value"
            rest.pop(0)
    needed = [a for a in arguments if a.required]
    assert len(needed) <= len(plain) <= len(arguments), f"lifeline {' '.join(words)}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_commands_of_the_pages_are_those_of_the_program(page):
    found = commands(page)
    assert len(found) >= 2
    for words in found:
        check(words)


def test_the_services_commands_are_those_of_the_program():
    for service in compose()["services"].values():
        words = service.get("command", [])
        if service["image"].startswith("city-lifeline") and words:
            check(words)


def test_a_wrong_command_would_be_seen():
    for words in (["simulat", "x"], ["simulate", "x", "--too", "y"], ["alarms", "list", "a", "b"]):
        with pytest.raises(AssertionError):
            check(words)


def test_both_languages_tell_the_same_commands():
    english, chinese = PAGES[:2]
    assert commands(english) == commands(chinese)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_the_pages_point_to_is_there(page):
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (page.parent / target).exists(), target
    titles = [
        re.sub(r"[^\w -]", "", t).lower().replace(" ", "-")
        for t in re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    ]
    for target in re.findall(r"\]\(#([^)]+)\)", text):
        assert target in titles, target
    for path in re.findall(r"(?<![\w/.-])deploy/[\w./-]*\w", text):
        assert (ROOT / path).exists(), path
    services = set(compose()["services"])
    for words in re.findall(
        r"docker compose (?:up -d|restart|build|exec|kill -s HUP|rm -sf) ([a-z ]+)", text
    ):
        assert set(words.split()) & services, words


def test_the_examples_speak_of_the_registry_that_init_writes():
    acl = (DEPLOY / "mosquitto" / "acl").read_text()
    (probe,) = re.findall(r"^topic write lifeline/v1/(\S+)/up$", acl, re.MULTILINE)
    place = re.search(r"place: (\S+)", (DEPLOY / "first-alarm.yaml").read_text())[1]
    for identity in (probe, place, GATEWAY):
        assert f"id: {identity}" in REGISTRY
    for page in PAGES[:2]:
        assert f"--gateway {GATEWAY}" in page.read_text(encoding="utf-8")
    assert REGISTRY.count("version: 1\n") == 1, "the page says: below `version: 1`"
