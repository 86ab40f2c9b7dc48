"""``[photos]`` of city.toml: how long photos from the field are kept, and how much of them."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field

from lifeline.photos import PhotoLimits
from rules.strict_models import DurationNs, Strict

DAY_NS: Final = 86_400 * 10**9
SECOND_NS: Final = 10**9


class PhotosEntry(Strict):
    """Photos from the field; past ``max_gb`` new ones are refused, none goes before its time."""

    keep: Annotated[DurationNs, Field(ge=DAY_NS)] = 400 * DAY_NS
    max_gb: Annotated[int, Field(ge=1, le=10_000)] = 2

    @property
    def limits(self) -> PhotoLimits:
        """Return them as the page's process takes them."""
        return PhotoLimits(keep_s=self.keep // SECOND_NS, max_total_bytes=self.max_gb << 30)
