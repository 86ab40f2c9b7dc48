"""What can be spoken of: domains and quantities, ours and those a site's registry files add.

A name means one thing in a process, whichever registry said it: nothing is ever taken away or
given another unit, so what was compiled or folded before keeps its meaning. The registry's stored
text carries what its files added, so a replay knows the words of its time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rules.quantities import QUANTITIES, UnknownUnit
from rules.units import parse

if TYPE_CHECKING:
    from rules.quantities import Quantity


@dataclass(frozen=True, slots=True)
class Domain:
    """A lifeline: its code in ids, what people call it, the asset types it has (() any)."""

    name: str
    label: str
    label_zh: str
    asset_types: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What the files of one registry add, by name."""

    domains: tuple[Domain, ...] = ()
    quantities: tuple[Quantity, ...] = ()


_OURS: Final = (
    Domain("gas", "gas", "燃气"),
    Domain("bridge", "bridge", "桥梁"),
    Domain("tunnel", "tunnel", "隧道"),
    Domain("water", "water", "供水"),
    Domain("drain", "drainage", "排水"),
    Domain("heat", "heating", "供热"),
    Domain("gallery", "utility tunnel", "管廊"),
    Domain("env", "environment", "环境"),
)
DOMAINS: Final[dict[str, Domain]] = {domain.name: domain for domain in _OURS}
OUR_DOMAINS: Final = frozenset(DOMAINS)
OUR_QUANTITIES: Final = frozenset(QUANTITIES)


def add_domain(domain: Domain) -> None:
    """Let a domain be spoken of from now on.

    Raises
    ------
    ValueError
        The name is one of ours.
    """
    if domain.name in OUR_DOMAINS and DOMAINS[domain.name] != domain:
        raise ValueError(f'domain "{domain.name}" is built in: give yours another name')
    DOMAINS[domain.name] = domain


def add_quantity(quantity: Quantity) -> None:
    """Let a quantity be measured from now on; labels may change later, its unit may not.

    Raises
    ------
    ValueError
        The name is one of ours, means another unit already, or its unit is none.
    """
    if quantity.name in OUR_QUANTITIES and QUANTITIES[quantity.name] != quantity:
        raise ValueError(f'quantity "{quantity.name}" is built in: give yours another name')
    try:
        parse(quantity.unit)
    except UnknownUnit as error:
        raise ValueError(f"unit: {error}") from error
    held = QUANTITIES.get(quantity.name, quantity)
    if held.unit != quantity.unit:
        said = f'quantity "{quantity.name}" is kept in {held.unit}, and what was stored still is'
        raise ValueError(f"{said}: give the new one another name")
    QUANTITIES[quantity.name] = quantity


def take_up(vocabulary: Vocabulary) -> None:
    """Let everything a registry adds be spoken of; see add_domain and add_quantity."""
    for domain in vocabulary.domains:
        add_domain(domain)
    for quantity in vocabulary.quantities:
        add_quantity(quantity)
