"""The small city that is tortured: four devices of two channels, rules that raise and clear often.

It is a real site, not a simulation: notifications of a simulation never leave the house, and here
they must arrive. Its broker, store and receiver are the campaign's own, on loopback.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rules.flood import FloodLimits

if TYPE_CHECKING:
    from pathlib import Path

GATEWAYS: Final = ("410100-gas-gw-000001", "410100-gas-gw-000002")
MODULES: Final = ("410100-gas-nb-000001", "410100-gas-nb-000002")
PORTS: Final = (1, 2)
LEVELS: Final = (0.2, 0.7, 1.1, 1.3, 3.0)  # %vol: from nothing to red
TOKEN: Final = "torture-token"  # noqa: S105 - of a server that lives as long as the campaign
SECRET: Final = "torture-secret-of-thirty-two-characters"  # noqa: S105 - likewise
LEAST_SEVERITY: Final = 1
NO_FLOOD: Final = FloodLimits(begins=1_000_000)
"""Every announcement goes out: that none is missing is what the campaigns ask."""

RULES: Final = """
version: 1
defaults: {source: estimate}
rules:
- id: ch4-slow
  kind: threshold
  select: {quantity: ch4}
  unit: "%{vol}"
  above: {blue: 0.5, yellow: 1.0, orange: 1.25, red: 2.5}
  hysteresis: 0.1
  for: 300ms
  keep_firing_for: 500ms
  max_gap: 3s
  message: "{{ asset.name }}: {{ value }}"
  message_zh: "{{ asset.name_zh }}：{{ value }}"
- id: ch4-loud
  kind: threshold
  fail_loud: true
  over_range: red
  select: {sensor: "*/ch4-01", quantity: ch4}
  unit: "%{vol}"
  above: {orange: 1.25, red: 2.5}
  for: {orange: 0s, red: {samples: 2, or: 1s}}
  keep_firing_for: 200ms
  max_gap: 3s
  message: "{{ asset.name }}: {{ value }}"
  message_zh: "{{ asset.name_zh }}：{{ value }}"
- id: ch4-odd
  kind: ewma
  class: info
  select: {quantity: ch4}
  lambda: 0.1
  warmup: 2s
  floor: 0.2 %{vol}
  side: both
  sigma: {yellow: 3}
  for: {samples: 2}
  message: "{{ asset.name }}: {{ value }}"
  message_zh: "{{ asset.name_zh }}：{{ value }}"
- id: silent
  kind: deadman
  class: maintenance
  select: {kind: [gateway, module]}
  missing: {yellow: 2s}
  message: "{{ device }} silent"
  message_zh: "{{ device }} 失联"
"""


def registry_text() -> str:
    """Return the registry: each device with two channels of its own."""
    lines = ["version: 1", "sites: [{id: 410100-st-000001, name: Z, name_zh: 原}]", "devices:"]
    for n, device in enumerate(GATEWAYS + MODULES):
        kind, transport = ("gateway", "mqtt") if device in GATEWAYS else ("module", "coap")
        lines.append(
            f"- {{id: {device}, kind: {kind}, transport: {transport}, codec: compact, "
            f"asset: 410100-gas-mh-00000{n}, every: 1s}}"
        )
    lines.append("assets:")
    for n, device in enumerate(GATEWAYS + MODULES):
        lines.append(
            f"- {{id: 410100-gas-mh-00000{n}, type: manhole, site: 410100-st-000001, "
            f"name: hole {n}, name_zh: 井{n}, district: Z, zone: z-1, at: [113.6, 34.7], sensors: ["
        )
        lines += [
            (
                f"  {{id: ch4-0{port}, device: {device}, channels: [{{id: vol, quantity: ch4, "
                f'unit: "%{{vol}}", port: {port}, range: [0, 5], resolution: 0.01, every: 1s, '
                "class: safety}]},"
            )
            for port in PORTS
        ]
        lines.append("  ]}")
    return "\n".join(lines) + "\n"


@dataclass(frozen=True, slots=True)
class Ports:
    """Where everybody listens on loopback."""

    mqtt: int
    coap: int
    page: int
    influx_url: str
    webhook_url: str


def write_site(folder: Path, ports: Ports) -> None:
    """Write a site folder: city.toml, registry, rules, secrets."""
    (folder / "registry").mkdir(parents=True)
    (folder / "rules").mkdir()
    (folder / "registry" / "all.yaml").write_text(registry_text(), encoding="utf-8")
    (folder / "rules" / "all.yaml").write_text(RULES, encoding="utf-8")
    for name, text in (("token", TOKEN), ("secret", SECRET)):
        (folder / name).write_text(text, encoding="utf-8")
        (folder / name).chmod(0o600)
    (folder / "city.toml").write_text(
        textwrap.dedent(f"""\
            [site]
            name = "Torture"
            [mqtt]
            host = "127.0.0.1"
            port = {ports.mqtt}
            [coap]
            port = {ports.coap}
            [page]
            port = {ports.page}
            [journal]
            segment_mb = 0.0625  # so that segments change every few seconds
            [influx]
            url = "{ports.influx_url}"
            bucket = "b"
            token_file = "token"
            [alarms]
            flood_begins = {NO_FLOOD.begins}
            [webhook]
            url = "{ports.webhook_url}"
            secret_file = "secret"
            min_severity = {LEAST_SEVERITY}
            """),
        encoding="utf-8",
    )
