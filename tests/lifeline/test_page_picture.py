"""The picture of the README, made anew by LIFELINE_SCREENSHOTS=1 on a machine with nothing to do.

The demo's own leak, red, with its trend, in the middle of the city's map.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import expect

from tests.lifeline.browser_kit import page_of
from tests.lifeline.small_city import until
from tests.servers import HOST, free_port

DOCS = Path(__file__).parents[2] / "docs"
DEMO = [sys.executable, "-m", "lifeline", "demo", "--no-browser", "--duration", "120"]
PICTURE = {"width": 1600, "height": 900}


@pytest.mark.real
@pytest.mark.timeout(200)
@pytest.mark.skipif(not os.environ.get("LIFELINE_SCREENSHOTS"), reason="makes a picture")
def test_the_demos_page_shows_its_leak(browser, tmp_path):
    port = free_port()
    with (
        (tmp_path / "said").open("w") as out,
        subprocess.Popen([*DEMO, "--port", str(port)], stdout=out, stderr=out) as demo,
    ):
        try:
            url = f"http://{HOST}:{port}/"
            until(lambda: _answers(url), seconds=60)
            with page_of(browser, url, viewport=PICTURE, color_scheme="dark") as page:
                expect(page.locator("#banner")).to_contain_text("SIMULATION")
                leak = page.locator("#unacked .row", has_text="red").filter(has_text="methane")
                expect(leak.first).to_be_visible(timeout=100_000)
                leak.first.click()
                expect(page.locator("#trend svg.main-svg").first).to_be_visible()
                expect(page.locator("canvas.city-layer")).to_be_visible()
                page.wait_for_timeout(1_500)  # the tail of what it draws
                page.screenshot(path=DOCS / "page.png")
        finally:
            demo.send_signal(signal.SIGINT)


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}api/state", timeout=2).status_code == 200
    except httpx.HTTPError:
        return False
