"""What every test leaves behind is put right here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import structlog

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _logs_as_ever() -> Iterator[None]:
    """Take back a configuration of the logs: it may write to what the test's end closes."""
    yield
    structlog.reset_defaults()
