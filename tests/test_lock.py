"""What is installed is locked by its hashes: all that pyproject.toml asks, and no more."""

from __future__ import annotations

import importlib.metadata
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "requirements"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
ASKED = {
    "run": PROJECT["dependencies"],
    "dev": [*PROJECT["dependencies"], *EXTRAS["dev"]],
    "build": EXTRAS["build"],
}
PINNED = re.compile(r"([A-Za-z0-9_.-]+)(?:\[[\w,-]+\])?==([^\s;]+)(?: ; (.+))?")


def entries(name: str) -> list[tuple[str, Version, str, list[str]]]:
    """(package, version, marker, hashes) of a lock; a line that is none of these fails."""
    text = (FOLDER / f"{name}.lock").read_text(encoding="utf-8").replace("\\\n", "")
    found = []
    for line in text.splitlines():
        spec, *hashes = (part.strip() for part in line.split("--hash="))
        pinned = PINNED.fullmatch(spec)
        assert pinned, f"{name}.lock: {line[:80]!r} pins nothing: run `make lock`"
        found.append((canonicalize_name(pinned[1]), Version(pinned[2]), pinned[3] or "", hashes))
    return found


@pytest.mark.parametrize("name", ASKED)
def test_each_entry_has_hashes_and_says_nothing_of_where_it_came_from(name):
    assert entries(name)
    for package, _, _, hashes in entries(name):
        assert hashes, f"{package} has no hash"
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", one) for one in hashes), package
    text = (FOLDER / f"{name}.lock").read_text(encoding="utf-8")
    assert not re.search(r"://|^\s*-(?!-hash)|^\s*--(?!hash)|(^|\s)/\w", text, re.MULTILINE)


@pytest.mark.parametrize("name", ASKED)
def test_the_lock_is_current_with_what_pyproject_asks(name):
    held = {package: version for package, version, _, _ in entries(name)}
    for text in ASKED[name]:
        asked = Requirement(text)
        version = held.get(canonicalize_name(asked.name))
        assert version is not None, f"{name}.lock lacks {asked.name}: run `make lock`"
        assert asked.specifier.contains(version, prereleases=True), f"{text}: run `make lock`"


@pytest.mark.parametrize("name", ["run", "dev"])
def test_what_is_needed_in_turn_is_there_and_nothing_else(name):
    """By what the installed packages say of themselves, from pyproject.toml on."""
    held = {package: marker for package, _, marker, _ in entries(name)}
    needed: set[tuple[str, str]] = set()
    waiting = [(Requirement(text), "") for text in ASKED[name]]
    while waiting:
        asked, extra = waiting.pop()
        if asked.marker is not None and not asked.marker.evaluate({"extra": extra}):
            continue
        package = canonicalize_name(asked.name)
        assert package in held, f"{name}.lock lacks {package}: run `make lock`"
        for each in ("", *asked.extras):
            if (package, each) in needed:
                continue
            needed.add((package, each))
            inside = importlib.metadata.requires(package) or []
            waiting += [(Requirement(text), each) for text in inside]
    here = {package for package, marker in held.items() if not marker}
    assert here <= {package for package, _ in needed}, "not needed any more: run `make lock`"


def test_what_builds_us_is_locked_as_the_project_file_names_it():
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    assert set(wanted) <= set(EXTRAS["build"])


def test_tests_and_image_install_from_the_lock_by_hash():
    makefile = (ROOT / "Makefile").read_text()
    assert "--require-hashes --requirement requirements/build.lock" in makefile
    assert "$(FROM_LOCK) --requirement requirements/dev.lock" in makefile
    dockerfile = (ROOT / "deploy" / "Dockerfile").read_text().replace("\\\n", " ")
    runs = [line for line in dockerfile.splitlines() if re.search(r"\bpip (install|wheel)\b", line)]
    for words in (part for line in runs for part in re.split(r"&&", line) if " pip " in f" {part}"):
        safe = "--require-hashes" in words or "--no-deps" in words or "--no-index" in words
        assert safe, f"the image takes something without a hash: {words.strip()}"
    pages = [p.read_text(encoding="utf-8") for p in ROOT.glob("docs/deploy*.md")]
    for page in pages:
        assert "--require-hashes -r requirements/build.lock -r requirements/run.lock" in page
