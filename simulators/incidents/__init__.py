"""Incidents: one function a kind. Each says what changes where, and by when it must be alarmed.

They are pure changes of quiet values: they need nothing but their onset, so any instant can be
asked alone. ``CODES`` gives each kind its number in the list of accidents that it stands for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simulators.incidents import bridge, drain, gas, heat, system, underground, water
from simulators.incidents.truth import SECOND_NS, SEVERITY, Incident, Misplaced, Onset

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rules.registry import Registry

__all__ = ["CODES", "KINDS", "SECOND_NS", "SEVERITY", "Incident", "Misplaced", "Onset", "truth_of"]

KINDS: dict[str, Callable[[Registry, Onset], Incident]] = {
    "gas_leak": gas.gas_leak,
    "biogas": gas.biogas,
    "regulator_overpressure": gas.regulator_overpressure,
    "main_rupture": gas.main_rupture,
    "digging": gas.digging,
    "bridge_overload": bridge.bridge_overload,
    "overload_crowding": bridge.overload_crowding,
    "collision": bridge.collision,
    "cable_loss": bridge.cable_loss,
    "scour": bridge.scour,
    "bearing_stuck": bridge.bearing_stuck,
    "stiffness_loss": bridge.stiffness_loss,
    "creeping": bridge.creeping,
    "pipe_burst": water.pipe_burst,
    "slow_leak": water.slow_leak,
    "washed_out": water.washed_out,
    "water_quality": water.water_quality,
    "storm": drain.storm,
    "sewer_surcharge": drain.sewer_surcharge,
    "blockage": drain.blockage,
    "backwater": drain.backwater,
    "underpass_flood": drain.underpass_flood,
    "illegal_discharge": drain.illegal_discharge,
    "sewer_gas": drain.sewer_gas,
    "cover_moved": drain.cover_moved,
    "heat_leak": heat.heat_leak,
    "under_supply": heat.under_supply,
    "oxygen_loss": underground.oxygen_loss,
    "gallery_flood": underground.gallery_flood,
    "gallery_fire": underground.gallery_fire,
    "intrusion": underground.intrusion,
    "tunnel_jam": underground.tunnel_jam,
    "tunnel_fire": underground.tunnel_fire,
    "tunnel_flood": underground.tunnel_flood,
    "silent_gateway": system.silent_gateway,
    "lightning": system.lightning,
}
CODES: dict[str, str] = {
    name: (made.__doc__ or "").partition(":")[0] for name, made in KINDS.items()
}


def truth_of(incidents: Sequence[Incident], registry: Registry) -> list[dict[str, Any]]:
    """Return the ground truth as plain data: what, where, from, to, what should tell of it.

    For whoever judges a run, never for the process that runs the engine.
    """
    return [
        {
            "id": i.id,
            "kind": i.kind,
            "code": CODES[i.kind],
            "place": i.place,
            "name": i.name,
            "name_zh": i.name_zh,
            "at": list(i.at),
            "begin_ns": i.begin_ns,
            "end_ns": i.end_ns,
            "fades_s": i.fades_s,
            "severity": i.severity,
            "deadline_s": i.deadline_s,
            "deadline_why": i.why,
            "told_by": list(i.told_by),
            "subjects": i.subjects(registry),
        }
        for i in incidents
    ]
