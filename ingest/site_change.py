"""Other texts while running: what a record that names them must be, before it is journaled."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from rules.registry import Registry

    LoadSite = Callable[[dict[str, str]], Registry]


def registry_named(
    named: dict[str, str],
    instead_of: object,
    held: dict[str, str],
    load_site: LoadSite | None,
    now: Registry,
) -> Registry | None:
    """Return the registry from the record on, None where it stays.

    ``instead_of`` has the hashes its author saw in force: who made a registry of another one
    would give rows a second meaning.

    Raises
    ------
    ValueError, LookupError
        The record must not be journaled; whatever ``load_site`` raises, too.
    """
    if instead_of is not None and instead_of != held:
        raise ValueError(f"made of {instead_of}, but in force is {held}; do it again")
    if load_site is None:
        raise LookupError(f"this process has no {' or '.join(named)} to load from; restart it")
    registry = load_site(held | named)
    if "registry" not in named or registry.content_hash == held.get("registry"):
        return None
    if moved := registry.first_moved(now):
        raise ValueError(f"{moved} has another row than before; make it from what holds")
    return registry
