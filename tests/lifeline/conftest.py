"""One browser a module; and what a page is to show has time: a busy machine is slow, not wrong."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from lifeline.bench.page.browser import chromium

expect.set_options(timeout=30_000)


@pytest.fixture(scope="module")
def browser():
    with chromium() as held:
        yield held
