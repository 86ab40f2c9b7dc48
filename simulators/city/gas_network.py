"""The gas network of the cities by plan: ducts of manholes, valve wells, stations, users."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from simulators.city import senses as s

if TYPE_CHECKING:
    from random import Random

    from simulators.city.builder import Builder
    from simulators.city.layout import Layout, Point, Street
    from simulators.city.plans import Plan

STEP_M = 80.0  # between manholes of a duct


def street_at(layout: Layout, number: int, offset_m: float) -> tuple[Street, Point]:
    """Return the street of the nth thing of a kind and where it stands, spread over the city."""
    rows, columns = len(layout.rows_m), len(layout.columns_m)
    row, column = (number * 7) % rows, (number // rows * 3 + number) % columns
    turn = number // (rows * columns)  # the second round stands beside the first
    x = min(layout.columns_m[column] + offset_m / 4 + 25.0 * turn, layout.half_m)
    return layout.ew[row], (x, layout.rows_m[row] + 6 + 10.0 * turn)


def gas(b: Builder, layout: Layout, plan: Plan, random: Random) -> None:
    """Add what the gas lifeline has."""
    _ducts(b, layout, plan, random)
    _wells(b, layout, plan, random)
    _stations(b, layout, plan)
    _users_and_geophones(b, layout, plan, random)


def _space(random: Random) -> dict[str, float]:
    """Return a chamber's size and how its cover airs it."""
    return {
        "volume_m3": round(random.uniform(2.0, 6.0), 2),
        "air_changes_h": round(random.uniform(0.1, 0.4), 3),
        "depth": round(random.uniform(1.4, 3.2), 1),
    }


def _ducts(b: Builder, layout: Layout, plan: Plan, random: Random) -> None:
    methane = replace(s.CH4, every=plan.gas_every)
    ids = [b.new_id("gas", "mh") for _ in range(plan.ducts * plan.manholes)]
    for number, identifier in enumerate(ids):
        duct, k = divmod(number, plan.manholes)
        street, at = street_at(layout, duct, 200.0)
        nb = b.module(identifier, every=plan.gas_report)
        beside = [ids[number + d] for d in (-1, 1) if 0 <= k + d < plan.manholes]
        b.place(
            "gas",
            "manhole",
            identifier,
            (at[0] + STEP_M * k, at[1]),
            (f"{street.name} gas manhole {number + 1}", f"{street.name_zh}燃气{number + 1}号井"),
            zone=f"z-gas-duct-{duct + 1:04d}",
            sensors=[(nb, methane), (nb, s.T_WELL), (nb, s.BATTERY_SLOW)],
            attributes={**_space(random), "chainage_m": STEP_M * k, "neighbours": beside},
            tags={"near_sewer": k == plan.manholes - 1},
            exposed_people=random.choice((0, 0, 40, 200)),
        )


def _wells(b: Builder, layout: Layout, plan: Plan, random: Random) -> None:
    methane = replace(s.CH4, every=plan.gas_every)
    for number in range(plan.valve_wells):
        street, at = street_at(layout, number, 450.0)
        identifier = b.new_id("gas", "vw")
        nb = b.module(identifier, every=plan.gas_report)
        b.place(
            "gas",
            "valve_well",
            identifier,
            at,
            (f"{street.name} valve well {number + 1}", f"{street.name_zh}阀井{number + 1}"),
            zone=f"z-gas-well-{number + 1:04d}",
            sensors=[(nb, methane), (nb, s.BATTERY_SLOW)],
            attributes=_space(random),
        )


def _stations(b: Builder, layout: Layout, plan: Plan) -> None:
    for number in range(plan.regulators):
        street, at = street_at(layout, number, 250.0)
        label = (f"{street.name} regulator {number + 1}", f"{street.name_zh}调压站{number + 1}")
        gw = b.gateway("gas", at, (f"{label[0]} RTU", f"{label[1]}终端"), codec="compact")
        b.place(
            "gas",
            "regulator",
            b.new_id("gas", "rg"),
            at,
            label,
            zone=f"z-gas-{number + 1:04d}",
            sensors=[(gw, x) for x in (s.PRESSURE_MP, s.PRESSURE_LP, s.CH4_LEL, s.T_AIR, s.GAS_Q)],
            attributes={"set_mp_kpa": 200.0, "set_lp_kpa": 2.2, "main": float(number // 8)},
        )


def _users_and_geophones(b: Builder, layout: Layout, plan: Plan, random: Random) -> None:
    for number in range(plan.users):
        street, at = street_at(layout, number, 520.0)
        label = (f"{street.name} kitchen {number + 1}", f"{street.name_zh}用户{number + 1}")
        gw = b.gateway("gas", at, (f"{label[0]} box", f"{label[1]}采集箱"), codec="compact")
        b.place(
            "gas",
            "user_point",
            b.new_id("gas", "us"),
            at,
            label,
            zone=f"z-gas-user-{number + 1:04d}",
            sensors=[(gw, s.USER_CH4)],
            attributes={"volume_m3": float(random.randrange(20, 200, 10)), "air_changes_h": 2.0},
            exposed_people=20,
        )
    for number in range(plan.geophones):
        street, at = street_at(layout, number, 350.0)
        label = (f"{street.name} geophone {number + 1}", f"{street.name_zh}振动{number + 1}")
        identifier = b.new_id("gas", "vb")
        nb = b.module(identifier, every="5m")
        b.place(
            "gas",
            "pipe",
            identifier,
            at,
            label,
            zone=f"z-gas-dig-{number + 1:04d}",
            sensors=[(nb, s.VIB), (nb, s.BATTERY_SLOW)],
        )
