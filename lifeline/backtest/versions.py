"""Where the rules of a back-test come from: a folder, a file, or a revision of a Git repository."""

from __future__ import annotations

import subprocess
from pathlib import Path

from lifeline.errors import Missing
from rules.language import RuleSet, load_rules
from rules.language.runbooks import FOLDER
from rules.registry_file import TEST_SUFFIXES
from simulators.recording import shipped_rules


def rules_folder(folder: Path) -> Path:
    """Return the folder of rule files: the given one, or ``rules/`` of a city's folder.

    Raises
    ------
    Missing
        There is nothing.
    """
    if not folder.exists():
        raise Missing(f"{folder}: no such folder or file of rules")
    return folder / "rules" if (folder / "rules").is_dir() else folder


def rules_of(folder: Path | None, *, today: str | None = None) -> RuleSet:
    """Return the rules of a folder or file, the shipped ones without."""
    return load_rules(rules_folder(folder) if folder else shipped_rules(), today=today)


def other_rules(against: str, rules: Path | None, *, today: str | None = None) -> RuleSet:
    """Return the rules of another folder, or those at ``rules`` as a Git revision has them.

    Raises
    ------
    Missing
        It is neither a folder nor a revision that holds the rules.
    """
    path = Path(against)
    if path.exists():
        return rules_of(path, today=today)
    if rules is None:
        raise Missing(f"--against {against}: no such folder; for a revision, name the rules too")
    folder = rules_folder(rules).resolve()
    inside = folder if folder.is_dir() else folder.parent
    listed = _git(inside, against, "ls-tree", "--name-only", against, "./")
    names = [n for n in listed.splitlines() if n.endswith(".yaml")]
    names = [n for n in names if not n.endswith(TEST_SUFFIXES)]
    if folder.is_file():
        names = [n for n in names if n == folder.name]
    if not names:
        raise Missing(f"--against {against}: that revision holds no rules at {folder}")
    books = _git(inside, against, "ls-tree", "--name-only", against, f"./{FOLDER}/")
    names += [name for name in books.splitlines() if name.endswith(".md")]
    texts = {name: _git(inside, against, "show", f"{against}:./{name}") for name in names}
    return load_rules(texts, today=today)


def _git(folder: Path, revision: str, *words: str) -> str:
    if revision.startswith("-"):
        raise Missing(f"--against {revision}: neither a folder nor a revision")
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *words], capture_output=True, text=True, check=False
        )
    except FileNotFoundError as error:
        raise Missing(f"--against {revision}: no such folder, and git is not installed") from error
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["git failed"]
        raise Missing(f"--against {revision}: neither a folder nor a revision: {said[0]}")
    return done.stdout
