"""What a person is (role) and of what part of the city (scope); both decided on the server."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

SYSTEM: Final = "system"
"""Written as a domain: alarms of the program about itself."""


class Role(IntEnum):
    """Each may do what the ones before it may."""

    VIEWER = 1  # looks
    OPERATOR = 2  # handles alarms
    ENGINEER = 3  # puts rules and registry into force
    ADMIN = 4  # sees what people did

    @property
    def word(self) -> str:
        """Return the role as it is written everywhere."""
        return self.name.lower()

    @classmethod
    def of(cls, word: str) -> Role:
        """Return the role of a word.

        Raises
        ------
        ValueError
            There is none; the message says which there are.
        """
        for role in cls:
            if role.word == word:
                return role
        raise ValueError(f"role {word!r}: write one of {', '.join(r.word for r in cls)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Which assets: of these domains, districts and owners; an empty set asks nothing."""

    domains: frozenset[str] = frozenset()
    districts: frozenset[str] = frozenset()
    owners: frozenset[str] = frozenset()

    @property
    def whole(self) -> bool:
        """Tell whether it is the whole city."""
        return not (self.domains or self.districts or self.owners)

    def holds(self, *, domain: str, district: str, owner: str) -> bool:
        """Tell whether an asset is within; what says nothing of itself is in no named set."""
        asked = (
            (self.domains, domain),
            (self.districts, district),
            (self.owners, owner),
        )
        return all(value in held for held, value in asked if held)

    @property
    def system(self) -> bool:
        """Tell whether the program's own alarms are within."""
        return self.whole or (SYSTEM in self.domains and not self.districts and not self.owners)

    def told(self) -> dict[str, list[str]]:
        """Return it as JSON."""
        return {
            "domains": sorted(self.domains),
            "districts": sorted(self.districts),
            "owners": sorted(self.owners),
        }


WHOLE_CITY: Final = Scope()


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who asks: an account by a session or a token, or somebody at a page without accounts.

    All ``scopes`` must hold: the account's, and a token's own where it has one.
    """

    login: str  # "" = the page has no accounts: a name comes with each order
    name: str = ""
    role: Role
    scopes: tuple[Scope, ...] = (WHOLE_CITY,)
    by: str = "session"  # session, token, open
    ends_wall_ns: int = 0  # of the session or token at latest; 0 = never
    csrf: str = field(default="", repr=False)
    key: str = field(default="", repr=False)  # hash of the session's or token's secret

    @property
    def whole(self) -> bool:
        """Tell whether it sees the whole city."""
        return all(scope.whole for scope in self.scopes)

    @property
    def system(self) -> bool:
        """Tell whether it sees alarms of the program about itself."""
        return all(scope.system for scope in self.scopes)

    def holds(self, *, domain: str, district: str, owner: str) -> bool:
        """Tell whether an asset is within all scopes."""
        return all(
            scope.holds(domain=domain, district=district, owner=owner) for scope in self.scopes
        )


ANYBODY: Final = Actor(login="", role=Role.ADMIN, by="open")
"""At a page without accounts, which is on loopback or behind a proxy with a login."""
