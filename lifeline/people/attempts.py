"""How often a login may fail: after a few failures each next try waits longer, up to a limit.

Counted in the database, so a restart forgets nothing, by three keys: the login from one address,
the address alone, the login alone. The last has much room and a short wait: whoever fails on
purpose must not keep the operator on duty out. Nothing depends on whether the login exists.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING, Final

from sqlalchemy import delete, func, insert, select, update

from lifeline.people.tables import ATTEMPT

if TYPE_CHECKING:
    from sqlalchemy import Connection

FORGET_NS: Final = 24 * 3_600 * 10**9
MOST_KEPT: Final = 20_000  # keys; beyond them the oldest go


@dataclass(frozen=True, slots=True)
class Limit:
    """``free`` failures cost nothing; each further one doubles the wait, up to ``most_s``."""

    kind: str
    free: int
    most_s: float

    def wait_ns(self, failures: int) -> int:
        """Return how long after the last failure the next try may come."""
        over = failures - self.free
        return int(min(2.0 ** min(over, 20), self.most_s) * 1e9) if over >= 0 else 0


LIMITS: Final = (
    Limit("login-from-address", 5, 900.0),
    Limit("address", 30, 900.0),
    Limit("login", 50, 20.0),
)


def keys(login: str, address: str) -> tuple[str, ...]:
    """Return a key for each of `LIMITS`; an IPv6 network counts as one address."""
    place = network(address)
    told = (f"{login.lower()} {place}", place, login.lower())
    return tuple(
        hashlib.sha256(f"{limit.kind} {text}".encode()).hexdigest()
        for limit, text in zip(LIMITS, told, strict=True)
    )


def network(address: str) -> str:
    """Return an address, of IPv6 its /64: that is what one customer has."""
    try:
        found = ip_address(address)
    except ValueError:
        return address[:64]
    if isinstance(found, IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return f"{IPv6Address(int(found) >> 64 << 64)}/64"
    return str(found)


def waits_ns(connection: Connection, login: str, address: str, *, wall_ns: int) -> int:
    """Return how long this try is too early; 0 = it may be made."""
    longest = 0
    for limit, key in zip(LIMITS, keys(login, address), strict=True):
        row = connection.execute(select(ATTEMPT).where(ATTEMPT.c.key == key)).first()
        if row is not None and wall_ns - row.last_wall_ns < FORGET_NS:
            longest = max(longest, row.last_wall_ns + limit.wait_ns(row.failures) - wall_ns)
    return max(0, longest)


def failed(connection: Connection, login: str, address: str, *, wall_ns: int) -> int:
    """Count a failure by each key; return how many this login now has from this address."""
    connection.execute(delete(ATTEMPT).where(ATTEMPT.c.last_wall_ns < wall_ns - FORGET_NS))
    counts = []
    for key in keys(login, address):
        found = connection.execute(select(ATTEMPT.c.failures).where(ATTEMPT.c.key == key)).scalar()
        counts.append((found or 0) + 1)
        values = {"failures": counts[-1], "last_wall_ns": wall_ns}
        if found is None:
            connection.execute(insert(ATTEMPT), [values | {"key": key}])
        else:
            connection.execute(update(ATTEMPT).where(ATTEMPT.c.key == key).values(**values))
    _bound(connection)
    return counts[0]


def _bound(connection: Connection) -> None:
    held = connection.execute(select(func.count()).select_from(ATTEMPT)).scalar_one()
    if held > MOST_KEPT:
        query = select(ATTEMPT.c.last_wall_ns).order_by(ATTEMPT.c.last_wall_ns.desc())
        edge = connection.execute(query.offset(MOST_KEPT - MOST_KEPT // 10).limit(1)).scalar_one()
        connection.execute(delete(ATTEMPT).where(ATTEMPT.c.last_wall_ns <= edge))


def succeeded(connection: Connection, login: str, address: str) -> None:
    """Forget the failures of this login from this address; those of the address alone stay."""
    pair, _, _ = keys(login, address)
    connection.execute(delete(ATTEMPT).where(ATTEMPT.c.key == pair))
