"""A seeded city: its registry as YAML files in the registry's own schema, and its map as GeoJSON.

>>> from simulators.city import city_map, generate, write_registry
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any

import yaml

from simulators.city import assets
from simulators.city.builder import Builder
from simulators.city.layout import draw, features

if TYPE_CHECKING:
    from pathlib import Path

PROFILES = ("demo",)
DEFAULT_SEED = 20260301


def generate(profile: str = "demo", seed: int = DEFAULT_SEED) -> dict[str, dict[str, Any]]:
    """Return the registry documents of a city by file stem; equal arguments, equal city.

    Raises
    ------
    ValueError
        There is no such profile.
    """
    if profile not in PROFILES:
        raise ValueError(f"profile {profile!r}: there is {', '.join(PROFILES)}")
    layout = draw(seed)
    builder = Builder()
    for lifeline in (
        assets.gas,
        assets.bridge,
        assets.tunnel,
        assets.water,
        assets.drain,
        assets.heat,
        assets.gallery,
    ):
        lifeline(builder, layout, Random(f"{lifeline.__name__} {seed}"))
    assets.probe(builder)
    return builder.documents()


def write_registry(folder: Path, profile: str = "demo", seed: int = DEFAULT_SEED) -> list[Path]:
    """Write the registry of a city as ``<folder>/*.yaml`` and return the files written."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for stem, document in generate(profile, seed).items():
        path = folder / f"{stem}.yaml"
        text = yaml.dump(document, allow_unicode=True, sort_keys=False, width=110)
        path.write_text(
            f"# A simulated city (profile {profile}, seed {seed}): {stem}.\n{text}",
            encoding="utf-8",
        )
        written.append(path)
    return written


def city_map(profile: str = "demo", seed: int = DEFAULT_SEED) -> dict[str, Any]:
    """Return streets, rings, river, railway, mains, gallery and tunnel as GeoJSON lines.

    Each feature's ``properties`` hold ``kind`` (street, ring, river, railway, gas_main, water_main,
    drain_main, heat_main, gallery, tunnel), ``name`` and ``name_zh``.
    """
    if profile not in PROFILES:
        raise ValueError(f"profile {profile!r}: there is {', '.join(PROFILES)}")
    return features(draw(seed), assets.GALLERY_ROW)
