"""``[map]`` of city.toml: the one thing a page may load from elsewhere, and only if asked to."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator

from rules.strict_models import Strict


class MapEntry(Strict):
    """A tile server of the site's own below the page's map; without it nothing is fetched."""

    # one host, for the page's content security policy names it and no other
    tiles: Annotated[
        str,
        Field(
            pattern=r"^https?://[A-Za-z0-9.\[\]:-]+/[^\s'\";,<>]*$",
            max_length=500,
        ),
    ]
    attribution: Annotated[str, Field(max_length=200)] = ""  # what its owner asks to be shown
    max_zoom: Annotated[int, Field(ge=10, le=22)] = 19

    @field_validator("tiles")
    @classmethod
    def _places(cls, tiles: str) -> str:
        missing = [part for part in ("{z}", "{x}", "{y}") if tiles.count(part) != 1]
        if missing:
            raise ValueError(
                f"has {', '.join(missing)} not just once: https://host/{{z}}/{{x}}/{{y}}.png"
            )
        return tiles
