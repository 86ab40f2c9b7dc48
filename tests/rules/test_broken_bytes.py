"""Files that are no text, too large, or made to hurt: told in a second, in bounded memory."""

from __future__ import annotations

import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest

from rules.language import Invalid, check, load_rules
from rules.language.sources import MAX_BYTES

ROOT = Path(__file__).parents[2]
GOOD = (
    "version: 1\nrules:\n- {id: a, kind: threshold, source: estimate,"
    " select: {quantity: pressure}, above: {orange: 3 kPa}}\n"
)
# Two thirds of it are the interpreter and the libraries the rules need.
MOST_BYTES = 700 << 20
BOUNDED = """
import resource, sys, time
from pathlib import Path
from rules.language import check
resource.setrlimit(resource.RLIMIT_AS, ({most}, {most}))
began = time.perf_counter()
told = check(Path(sys.argv[1]))
took = time.perf_counter() - began
print(f"{{took:.3f}}")
print("\\n".join(map(str, told)))
"""


def bounded(path: Path) -> tuple[float, list[str]]:
    """Return how long checking took, and what was told, with a limit on memory."""
    program = BOUNDED.format(most=MOST_BYTES)
    ran = subprocess.run(
        [sys.executable, "-c", program, path], cwd=ROOT, capture_output=True, text=True,
        check=False, timeout=60, env={"PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"},
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr[-2000:]
    took, *told = ran.stdout.splitlines()
    return float(took), told


def bomb(depth: int, width: int) -> str:
    names = [f"a{i}" for i in range(depth)]
    lines = [f"a0: &a0 [{', '.join(['x'] * width)}]"]
    for before, name in pairwise(names):
        lines.append(f"{name}: &{name} [{', '.join([f'*{before}'] * width)}]")
    return "\n".join(lines) + "\n"


HOSTILE = {
    "a hundred megabytes": (b"# rules\n" * 13_107_200, "is 105 MB, more than 8 MiB: split it"),
    "a hundred megabytes of NUL": (bytes(100 << 20), "is 105 MB, more than 8 MiB: split it"),
    "an alias bomb": (bomb(9, 10).encode(), "aliases unfold to more than 500000 values"),
    "a bomb of mappings": (
        ("a0: &a0 {x: 1}\n" + "".join(
            f"a{i}: &a{i} {{{', '.join(f'k{j}: *a{i - 1}' for j in range(10))}}}\n"
            for i in range(1, 9)
        )).encode(), "aliases unfold to more than 500000 values",
    ),
    "a million brackets": (b"[" * 1_000_000, "nested deeper than 32 levels"),
    "a million braces": (b"{a: " * 1_000_000, "nested deeper than 32 levels"),
    "a million dashes": (b"- " * 1_000_000, "nested deeper than 32 levels"),
    "one line of eight megabytes": (b"x" * (MAX_BYTES - 1), "must be a mapping"),
    "one quoted text that never ends": (b'"' + b"x" * 1_000_000, "a quote above is not closed"),
    "a key of a megabyte": (b"? " + b"x" * 1_000_000 + b"\n: 1\n", 'key "version" is missing'),
    "an expression of a megabyte": (
        GOOD.replace("kind: threshold", f'kind: expr, expr: "{"(" * 1_000_000}"').encode(),
        "is longer than 1000 characters",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_told_within_a_second_and_in_bounded_memory(name, tmp_path):
    data, said = HOSTILE[name]
    path = tmp_path / "site.yaml"
    path.write_bytes(data)
    took, told = bounded(path)
    assert any(said in line for line in told), [line[:300] for line in told]
    assert sum(map(len, told)) < 5_000
    assert took < 1.0, took


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"version: 1\n# \xe4\xb8\xad\xff\n", "site.yaml:2:4: byte 0xFF is not UTF-8 text"),
        (b"\xff\xfev\x00e\x00r\x00", "site.yaml:1:1: byte 0xFF is not UTF-8 text"),
        ("version: 1\n# 燃气\n".encode("gb18030"), "site.yaml:2:4: byte 0xC6 is not UTF-8 text"),
        (b"version: 1\nrules: \xed\xa0\x80\n", "site.yaml:2:8: byte 0xED is not UTF-8 text"),
        (b"version: 1\n# \xc3", "site.yaml:2:3: byte 0xC3 is not UTF-8 text"),
        (b"version: 1\nrules: [a\x00]\n", "site.yaml:2:10: not YAML: U+0000 is not allowed here"),
    ],
)
def test_bytes_that_are_no_text_are_told_with_their_place(data, said, tmp_path):
    path = tmp_path / "site.yaml"
    path.write_bytes(data)
    (told,) = check(path)
    assert str(told).startswith(said)
    with pytest.raises(Invalid):
        load_rules(path)


@pytest.mark.parametrize(
    "data",
    [
        GOOD.encode("utf-8-sig"),
        GOOD.replace("\n", "\r\n").encode(),
        GOOD.replace("\n", "\r").encode(),
    ],
    ids=["byte order mark", "CRLF", "CR"],
)
def test_a_mark_and_other_ends_of_lines_are_no_mistake(data, tmp_path):
    path = tmp_path / "site.yaml"
    path.write_bytes(data)
    assert check(path) == []
    assert [rule.id for rule in load_rules(path).rules] == ["a"]


def test_a_text_larger_than_a_file_may_be_is_not_read():
    began = time.perf_counter()
    (told,) = check({"site.yaml": "# x\n" * (MAX_BYTES // 2)})
    assert str(told) == f"site.yaml:1:1: the file is larger than {MAX_BYTES} characters: split it"
    assert time.perf_counter() - began < 1.0


def test_half_a_character_is_no_text():
    (told,) = check({"site.yaml": "version: 1\nrules: \ud800\n"})
    assert str(told).startswith("site.yaml:1:1: not text: surrogates not allowed")


def test_a_large_runbook_is_refused_and_one_in_another_encoding(tmp_path):
    (tmp_path / "site.yaml").write_text(GOOD, encoding="utf-8")
    (tmp_path / "runbooks").mkdir()
    (tmp_path / "runbooks" / "a.md").write_text("x" * (65 << 10), encoding="utf-8")
    (tmp_path / "runbooks" / "b.md").write_bytes("# 燃气".encode("gb18030"))
    assert [str(p) for p in check(tmp_path)] == [
        "runbooks/a.md: is larger than 64 KiB: shorten it, or link to it",
        "runbooks/b.md: is not UTF-8 text: save the file as UTF-8",
    ]


def test_two_files_of_one_name_are_told(tmp_path):
    paths = []
    for folder in ("east", "west"):
        (tmp_path / folder).mkdir()
        paths.append(tmp_path / folder / "gas.yaml")
        paths[-1].write_text(GOOD, encoding="utf-8")
    assert [str(p) for p in check(paths)] == ["gas.yaml: two files have this name: rename one"]
