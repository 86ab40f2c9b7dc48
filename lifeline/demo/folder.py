"""The demo city's own folder: a configuration, its registry and the shipped rules."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING, Final

from lifeline.broker import free_port
from lifeline.errors import Missing
from lifeline.packs import copy_packs
from lifeline.settings.config import FILE_NAME
from simulators.city import city_map, write_registry

if TYPE_CHECKING:
    from pathlib import Path

    from simulators.scenario import Scenario

TEXT = """# Written by `lifeline demo`; everything here is simulated.
[site]
name = "Simulated city"
name_zh = "仿真城市"
timezone = "Asia/Shanghai"
simulation = true

[mqtt]
host = "127.0.0.1"
port = {mqtt}

[coap]
bind = "127.0.0.1"
port = {coap}

[page]
bind = "127.0.0.1"
port = {page}
"""


QUICK: Final = {
    "bridge.yaml": {
        "window: 14d": "window: 1h",
        "warmup: 12h": "warmup: 10m",
        "warmup: 1d": "warmup: 30m",
    }
}
"""What the demo changes of the shipped rules: an hour is to show what they learn in days."""


def write_rules(folder: Path) -> None:
    """Write the shipped rules, with statistics that learn within the demo's hour."""
    for path in copy_packs(folder):
        text = path.read_text(encoding="utf-8")
        for shipped, quick in QUICK.get(path.name, {}).items():
            if shipped not in text:
                raise Missing(f"{path.name} of the shipped rules has no {shipped!r} any more")
            text = text.replace(shipped, f"{quick}  # the demo's haste")
        path.write_text(text, encoding="utf-8")


def write_city_folder(folder: Path, scenario: Scenario, *, page_port: int) -> None:
    """Write the folder anew: the ports are those free now."""
    folder.mkdir(parents=True, exist_ok=True)
    ports = {"mqtt": free_port(), "coap": free_port(socket.SOCK_DGRAM), "page": page_port}
    (folder / FILE_NAME).write_text(TEXT.format(**ports), encoding="utf-8")
    write_registry(folder / "registry", scenario.entry.profile, scenario.seed)
    write_rules(folder / "rules")
    streets = city_map(scenario.entry.profile, scenario.seed)
    (folder / "map.geojson").write_text(json.dumps(streets, ensure_ascii=False), encoding="utf-8")
