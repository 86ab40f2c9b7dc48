"""The texts of rules: from folders and files, and as the bytes a data folder keeps of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path as FilePath
from typing import Final

from rules.language.runbooks import runbook_files
from rules.problems import Invalid, Problem
from rules.registry_file import read_texts

Sources = FilePath | Sequence[FilePath] | Mapping[str, str]
FORMAT: Final = "lifeline rules 1"
MAX_BYTES: Final = 8 << 20  # of a rule file: some 15 000 rules


def read_sources(folder_or_files: Sources) -> dict[str, str]:
    """Return texts by file name, those of runbooks beside them as ``runbooks/NAME.md``.

    Raises
    ------
    Invalid
        Something cannot be read.
    """
    if isinstance(folder_or_files, Mapping):
        return dict(folder_or_files)
    if isinstance(folder_or_files, FilePath):
        beside = folder_or_files if folder_or_files.is_dir() else folder_or_files.parent
        return runbook_files(beside) | read_texts(folder_or_files, most=MAX_BYTES)
    texts: dict[str, str] = {}
    for folder in {path.parent for path in folder_or_files}:
        texts |= runbook_files(folder)
    for path in folder_or_files:
        for name, text in read_texts(path, most=MAX_BYTES).items():
            if name in texts:
                raise Invalid([Problem(name, 0, 0, "", "two files have this name: rename one")])
            texts[name] = text
    return texts


def canonical(sources: dict[str, str], expired: str, shadow: dict[str, str]) -> bytes:
    """Return the bytes that stand for rules: equal texts give equal bytes."""
    whole = {"format": FORMAT, "expired": expired, "sources": dict(sorted(sources.items()))}
    if shadow:
        whole["shadow"] = dict(sorted(shadow.items()))
    text = json.dumps(whole, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "surrogatepass")  # half a character is told where it is read
