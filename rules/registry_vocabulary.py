"""The words that registry files add, taken up before anything in the files is read with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rules.quantities import Quantity
from rules.vocabulary import Domain, Vocabulary, add_domain, add_quantity

if TYPE_CHECKING:
    from rules.registry_file import Gathered
    from rules.registry_models import DomainEntry, QuantityEntry


def speak(gathered: Gathered) -> None:
    """Take up the domains and quantities of all files; what cannot be is a problem at its place."""
    for noun, entries in (("domain", gathered.domains), ("quantity", gathered.quantities)):
        for name, entry in entries.items():
            try:
                if noun == "domain":
                    add_domain(_domain(gathered.domains[name]))
                else:
                    add_quantity(_quantity(gathered.quantities[name]))
            except ValueError as error:
                document, path = gathered.where[noun, name]
                document.problem((*path, "id"), str(error), who=entry.id, noun=noun)


def vocabulary_of(gathered: Gathered) -> Vocabulary:
    """Return what the files add."""
    return Vocabulary(
        tuple(_domain(entry) for entry in gathered.domains.values()),
        tuple(_quantity(entry) for entry in gathered.quantities.values()),
    )


def _domain(entry: DomainEntry) -> Domain:
    return Domain(entry.id, entry.name, entry.name_zh or entry.name, tuple(entry.asset_types))


def _quantity(entry: QuantityEntry) -> Quantity:
    held = None if entry.range is None else (float(entry.range[0]), float(entry.range[1]))
    return Quantity(
        entry.id, entry.unit, entry.name, entry.name_zh or entry.name, entry.decimals, range=held
    )
