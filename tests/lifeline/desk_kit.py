"""The parts behind a page without a running city: for what asks the application itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifeline.clock import Clock
from lifeline.console.desk import Desk, ServeSettings
from lifeline.hot_buffer import HotBuffer
from lifeline.ledger import Ledger
from lifeline.site import SiteKeeper
from lifeline.watchdog import Watchdog

if TYPE_CHECKING:
    from pathlib import Path


def desk_of(data: Path, **settings) -> Desk:
    return Desk(
        data=data,
        settings=ServeSettings(**settings),
        clock=Clock(),
        ledger=Ledger(f"sqlite:///{data / 'ledger.sqlite'}"),
        keeper=SiteKeeper(data),
        hot=HotBuffer(),
        watchdog=Watchdog(Clock()),
    )
