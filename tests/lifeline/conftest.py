"""A busy machine is slow, not wrong: what a page is to show has time, a failure waits for it."""

from __future__ import annotations

from playwright.sync_api import expect

expect.set_options(timeout=30_000)
