"""The shape of the project, kept: arrows between rooms, sizes, names, nothing left over."""

import ast
import importlib.metadata
import re
from pathlib import Path

import pytest

import rules
from lifeline.processes import NAMES

ROOT = Path(__file__).parents[1]
ROOMS = {
    "rules": {"rules"},
    "ingest": {"rules", "ingest"},
    "simulators": {"rules", "ingest", "simulators"},
    "lifeline": {"rules", "ingest", "simulators", "lifeline"},
}
NEVER_IN_RULES = {"asyncio", "datetime", "logging", "random", "socket", "structlog", "threading"}
NEVER_IN_RULES |= {"time", "http", "urllib", "httpx", "subprocess"}
FORBIDDEN_NAMES = ("utils", "util", "helpers", "helper", "base", "manager", "common", "misc")
MAX_FILE, MAX_FUNCTION = 400, 60
SOURCES = sorted(p for room in ROOMS for p in (ROOT / room).rglob("*.py"))
PYTHON = SOURCES + sorted((ROOT / "tests").rglob("*.py"))
DEPLOYED = sorted(p for p in (ROOT / "deploy").rglob("*") if p.is_file())


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def modules_of(tree: ast.AST) -> set[str]:
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in PYTHON}


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_a_room_imports_only_along_the_arrows(path):
    room = path.relative_to(ROOT).parts[0]
    used = {module.split(".")[0] for module in modules_of(TREES[path])}
    assert used & set(ROOMS) <= ROOMS[room]
    if room == "rules":
        assert not used & NEVER_IN_RULES


def test_no_file_is_longer_than_400_lines():
    long = {name(p): n for p in PYTHON if (n := len(p.read_text().splitlines())) > MAX_FILE}
    assert not long


def test_no_function_is_longer_than_60_lines():
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    long = [
        f"{name(path)}:{node.lineno} {node.name}"
        for path in SOURCES
        for node in ast.walk(TREES[path])
        if isinstance(node, functions) and node.end_lineno - node.lineno + 1 > MAX_FUNCTION
    ]
    assert not long


def test_no_file_is_named_for_having_no_subject():
    assert not [name(p) for p in PYTHON if p.stem in FORBIDDEN_NAMES]


def test_every_file_is_referenced():
    """A module nobody imports, starts or names is left over."""
    used: set[str] = set()
    for path in PYTHON:
        used |= modules_of(TREES[path])
    texts = [p.read_text() for p in (ROOT / "Makefile", ROOT / "pyproject.toml")]
    texts += [p.read_text() for p in ROOT.glob("docs/*.md")]
    started = " ".join(texts)
    left_over = []
    for path in SOURCES:
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        if path.stem in ("__init__", "__main__"):
            continue
        process = path.parent == ROOT / "lifeline" / "processes"  # started by its name
        if module not in used and module not in started and not process:
            left_over.append(module)
    assert not left_over


def test_every_file_of_the_deployment_is_used_or_told_of():
    """By its own path: in a compose file, a page, or a test that runs it."""
    compose = (ROOT / "deploy" / "compose.yaml").read_text(encoding="utf-8")
    readers = [*ROOT.glob("docs/*.md"), *(ROOT / "tests" / "deploy").glob("*.py")]
    told = compose + "\n".join(p.read_text(encoding="utf-8") for p in readers)
    left_over = [
        name(p)
        for p in DEPLOYED
        if p.name not in told and f"./{p.relative_to(ROOT / 'deploy').parts[0]}:" not in compose
    ]
    assert not left_over


def test_every_process_module_is_one_that_is_started():
    folder = ROOT / "lifeline" / "processes"
    found = {p.stem for p in folder.glob("*.py")} - {"__init__", "__main__", "context"}
    assert found == set(NAMES)


def test_the_package_rules_is_ours():
    """A stranger on the package index has the same name; it must not shadow ours."""
    owners = set(importlib.metadata.packages_distributions().get("rules", ["city-lifeline"]))
    assert owners == {"city-lifeline"}
    assert Path(rules.__file__).parent == ROOT / "rules"


UNSAFE_MODULES = {
    "pickle",
    "cPickle",
    "dill",
    "marshal",
    "shelve",
    "joblib",
    "cloudpickle",
    "jsonpickle",
}
UNSAFE_CALLS = {
    "eval", "exec", "compile", "__import__",
    "yaml.load", "yaml.load_all", "yaml.unsafe_load", "yaml.unsafe_load_all", "yaml.full_load",
    "yaml.full_load_all", "yaml.Loader", "yaml.UnsafeLoader", "yaml.FullLoader",
    "os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput",
    "asyncio.create_subprocess_shell", "tarfile.extractall",
}  # fmt: skip
UNSAFE_FLAGS = ("shell", "allow_pickle")


def unsafe(tree: ast.AST) -> set[str]:
    """What in a source turns data into code, or hands it to a shell."""
    found = {m for m in modules_of(tree) if m.split(".")[0] in UNSAFE_MODULES}
    found |= {m for m in modules_of(tree) if m in UNSAFE_CALLS}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            found |= {f"{node.value.id}.{node.attr}"} & UNSAFE_CALLS
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            found |= {node.id} & UNSAFE_CALLS
        if isinstance(node, ast.keyword) and node.arg in UNSAFE_FLAGS:
            off = isinstance(node.value, ast.Constant) and node.value.value is False
            found |= set() if off else {f"{node.arg}="}
    return found


def test_nothing_is_unpickled_evaluated_or_given_to_a_shell():
    assert {name(path): bad for path in SOURCES if (bad := unsafe(TREES[path]))} == {}


@pytest.mark.parametrize(
    "source",
    [
        "import pickle", "from marshal import loads", "import dill as d", "eval('1')", "f = exec",
        "import yaml\nyaml.load(t, Loader=L)", "yaml.parse(t, Loader=yaml.UnsafeLoader)",
        "subprocess.run(c, shell=True)", "run(c, shell=x)", "np.load(p, allow_pickle=True)",
        "import os\nos.system(c)", "from os import popen", "from yaml import unsafe_load",
    ],
)  # fmt: skip
def test_what_turns_data_into_code_would_be_found(source):
    assert unsafe(ast.parse(source))


def test_nothing_is_left_to_be_done():
    mark = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b")
    found = [
        f"{name(path)}:{number}"
        for path in [
            *PYTHON,
            *DEPLOYED,
            *ROOT.glob("gateway-firmware-sim/src/*"),
            ROOT / "Makefile",
        ]
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if mark.search(line)
    ]
    assert not found


def test_test_files_have_names_of_their_own():
    names = [p.name for p in (ROOT / "tests").rglob("test_*.py")]
    assert len(names) == len(set(names))


def test_the_version_stands_once_in_the_project_file():
    assert importlib.metadata.version("city-lifeline") in (ROOT / "pyproject.toml").read_text()
