"""The map in a real browser: pipes and assets on a canvas, by mouse and keyboard; a whole city."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from playwright.sync_api import expect

from lifeline.bench.city import city_of
from lifeline.bench.page.browser import map_stands, pan
from lifeline.bench.page.city import PageCity, served
from tests.lifeline.small_city import GAS, OTHER_GAS, SmallCity, serving, until

pytestmark = pytest.mark.real
ONE, OTHER = GAS.split("/")[0], OTHER_GAS.split("/")[0]


@pytest.fixture
def city(tmp_path):
    held = SmallCity(
        tmp_path / "data", simulation=True, attributes={ONE: {"gas_pipe": f"[{OTHER}]"}}
    )
    yield held
    held.close()


@pytest.fixture
def page(browser):
    context = browser.new_context(locale="en-US", viewport={"width": 1500, "height": 850})
    held, troubles = context.new_page(), []
    held.on("pageerror", lambda error: troubles.append(str(error)))
    yield held
    context.close()
    assert troubles == []


def ink(page) -> int:
    """How many pixels of the canvas are painted."""
    return page.evaluate(
        """() => { const c = document.querySelector("canvas.city-layer");
        const d = c.getContext("2d").getImageData(0, 0, c.width, c.height).data;
        let n = 0; for (let i = 3; i < d.length; i += 4) n += d[i] > 0; return n; }"""
    )


def place(page, asset: str) -> tuple[float, float]:
    """Where an asset is on the screen, once it has stood there for half a second."""
    return page.evaluate(
        """async (id) => { const m = await import("/static/map.js");
        const now = () => { const { x, y } = m.where(id);
          const box = document.getElementById("map").getBoundingClientRect();
          return [box.left + x, box.top + y]; };
        let at = now();
        for (let same = 0; same < 10;) {
          await new Promise((then) => setTimeout(then, 50));
          const next = now();
          same = String(next) === String(at) ? same + 1 : 0;
          at = next;
        }
        return at; }""",
        asset,
    )


def test_an_asset_opens_by_a_click_and_by_the_keyboards_cross(page, city):
    with serving(city.data) as http:
        page.goto(f"{http.base_url}")
        expect(page.locator("canvas.city-layer")).to_be_visible()
        page.mouse.click(*place(page, OTHER))
        expect(page.locator("#selected")).to_contain_text("Tongbai Rd manhole 124")
        page.locator("#map").focus()
        page.keyboard.press("ArrowLeft")  # the map's own key: no alarm is walked to
        page.keyboard.press("Escape")
        page.evaluate(f"import('/static/map.js').then((m) => m.centre(m.assetById('{ONE}').at))")
        page.locator("#map").focus()
        page.keyboard.press("Enter")
        expect(page.locator("#selected")).to_contain_text("Zhongyuan Rd manhole 123")
        expect(page.locator("#legend")).to_contain_text("gas main")


def test_pipes_of_the_registry_are_drawn_and_no_alarm_colours_them(page, city, tmp_path):
    bare = SmallCity(tmp_path / "bare", simulation=True)
    painted = []
    for held in (bare, city):
        with serving(held.data) as http:
            page.goto(f"{http.base_url}")
            expect(page.locator("canvas.city-layer")).to_be_visible()
            painted.append(until(lambda: ink(page)))
    bare.close()
    assert painted[1] > painted[0] + 50, "the pipe"


def test_gathered_assets_come_apart_and_alarms_on_them_tell_level_shape_and_number(page, tmp_path):
    registry = city_of(8_000).registry
    random, n = np.random.default_rng(3), len(registry.assets.id)
    lon, lat = 113.6 + 0.2 * random.random(n), 34.7 + 0.2 * random.random(n)
    registry = replace(registry, assets=replace(registry.assets, lon=lon, lat=lat))
    city = PageCity(tmp_path / "data", registry)
    city.alarms(40)
    with served(tmp_path / "data") as (url, _):
        assert map_stands(page, url) > 0
        frames = pan(page, seconds=1.0, turns=2)
        assert frames.frames > 10
        assert page.locator("#map *").count() < 600, "assets are no elements"
        pins = page.locator(".pin")
        expect(pins.first).to_be_visible()
        words = " ".join(pins.all_text_contents())
        assert "orange" in words
        shapes = pins.locator("svg.mark path.shape")
        assert shapes.count() == pins.count()
        page.keyboard.press("m")
        zoom = "import('/static/map.js').then((m) => m.zoom())"
        before = page.evaluate(zoom)
        at = page.evaluate("import('/static/map.js').then((m) => m.gathered())")
        assert at["count"] > 10
        page.mouse.click(at["x"], at["y"])
        assert page.evaluate(zoom) == before + 2
    city.close()
