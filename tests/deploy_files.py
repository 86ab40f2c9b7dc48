"""The files of deploy/, and copies of them whose paths and ports are the test's own."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from tests import servers

if TYPE_CHECKING:
    import contextlib

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
GATEWAY = "410100-gas-gw-000001"


def compose() -> dict[str, Any]:
    """Return compose.yaml, its merge keys applied, its variables as written."""
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))


def rewritten(path: Path, places: dict[str, str]) -> str:
    """Return a file's text with other places in it; one that it does not name is a mistake."""
    text = path.read_text(encoding="utf-8")
    for old, new in places.items():
        assert old in text, f"{path.name} no longer says {old!r}"
        text = text.replace(old, new)
    left = re.findall(r"\s/(?:run/secrets|mosquitto)/\S*", _without_comments(text))
    assert not left, f"{path.name}: {left} are places of the container"
    return text


def _without_comments(text: str) -> str:
    return "\n".join(line.split("#")[0] for line in text.splitlines())


def broker(secrets: Path, *, inside: int) -> contextlib.AbstractContextManager[servers.Server]:
    """Run mosquitto with our own configuration; ``port`` is the gateways', ``inside`` ours."""

    def build(folder: Path, port: int) -> list[str]:
        (folder / "data").mkdir(exist_ok=True)
        text = rewritten(
            DEPLOY / "mosquitto" / "mosquitto.conf",
            {
                "/run/secrets/": f"{secrets}/",
                "/mosquitto/config/": f"{DEPLOY}/mosquitto/",
                "/mosquitto/data/": f"{folder}/data/",
                "listener 8883": f"listener {port} 127.0.0.1",
                "listener 8884": f"listener {inside} 127.0.0.1",
            },
        )
        config = folder / "mosquitto.conf"
        config.write_text(f"{text}\nuser root\n")  # the secrets belong to the container's account
        return [servers.program("mosquitto"), "-c", str(config)]

    def both(server: servers.Server) -> bool:
        return servers.listens(server) and servers.accepts(server.host, inside)

    return servers.running(build, both)
