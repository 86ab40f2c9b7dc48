"""A seeded city: its registry as YAML files in the registry's own schema, and its map as GeoJSON.

>>> from simulators.city import city_map, generate, write_registry
"""

from __future__ import annotations

import gc
from random import Random
from typing import TYPE_CHECKING, Any

import orjson
import yaml

from rules.registry_file import registry_of
from simulators.city import assets, gas_network, whole
from simulators.city.builder import Builder
from simulators.city.layout import DEMO_STREETS, draw, features
from simulators.city.plans import PLANS

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from rules.registry import Registry

PROFILES = ("demo", *PLANS)
DEFAULT_SEED = 20260301


def generate(profile: str = "demo", seed: int = DEFAULT_SEED) -> dict[str, dict[str, Any]]:
    """Return the registry documents of a city by file stem; equal arguments, equal city.

    Raises
    ------
    ValueError
        There is no such profile.
    """
    _known(profile)
    layout = draw(seed, _streets(profile))
    if profile == "demo":
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
    else:
        plan = PLANS[profile]
        builder = Builder(plan.area)
        for by_plan in (
            gas_network.gas,
            whole.bridges,
            whole.tunnels,
            whole.water,
            whole.drains,
            whole.heating,
            whole.galleries,
            whole.environment,
        ):
            by_plan(builder, layout, plan, Random(f"{profile} {by_plan.__name__} {seed}"))
    assets.probe(builder)
    return builder.documents()


def registry_of_city(
    profile: str = "demo", seed: int = DEFAULT_SEED, *, part: Collection[str] = ()
) -> Registry:
    """Return the registry of a city without a folder; ``hefei`` takes some seconds.

    ``part`` names the domains that are kept, the probe's beside them; none named, all.
    """
    was = gc.isenabled()
    gc.disable()  # millions of small objects without cycles: the collector would double the time
    try:
        documents = _kept(generate(profile, seed), part)
        return registry_of({f"{k}.yaml": orjson.dumps(d).decode() for k, d in documents.items()})
    finally:
        if was:
            gc.enable()


def _kept(documents: dict[str, dict[str, Any]], part: Collection[str]) -> dict[str, dict[str, Any]]:
    """Return the documents of some domains; every id says its domain after the area."""
    if not part:
        return documents
    domains = {*part, assets.PROBE_CODE[0]}
    city = documents["city"]
    devices = [d for d in city["devices"] if d["id"].split("-")[1] in domains]
    held = {name: one for name, one in documents.items() if name in domains}
    return {"city": city | {"devices": devices}, **held}


def _known(profile: str) -> None:
    if profile not in PROFILES:
        raise ValueError(f"profile {profile!r}: there is {', '.join(PROFILES)}")


def _streets(profile: str) -> int:
    return DEMO_STREETS if profile == "demo" else PLANS[profile].streets


def write_registry(folder: Path, profile: str = "demo", seed: int = DEFAULT_SEED) -> list[Path]:
    """Write the registry of a city as ``<folder>/*.yaml`` and return the files written."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for stem, document in generate(profile, seed).items():
        path = folder / f"{stem}.yaml"
        if profile == "demo":
            text = yaml.dump(document, allow_unicode=True, sort_keys=False, width=110)
            text = f"# A simulated city (profile {profile}, seed {seed}): {stem}.\n{text}"
        else:  # JSON is YAML too, and is read 30 times as fast
            text = orjson.dumps(document, option=orjson.OPT_INDENT_2).decode()
        path.write_text(text, encoding="utf-8")
        written.append(path)
    return written


def city_map(profile: str = "demo", seed: int = DEFAULT_SEED) -> dict[str, Any]:
    """Return streets, rings, river, railway, mains, gallery and tunnel as GeoJSON lines.

    Each feature's ``properties`` hold ``kind`` (street, ring, river, railway, gas_main, water_main,
    drain_main, heat_main, gallery, tunnel), ``name`` and ``name_zh``.
    """
    _known(profile)
    return features(draw(seed, _streets(profile)), assets.GALLERY_ROW)
