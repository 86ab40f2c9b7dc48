"""The trend in a real browser: forecast and bounds, usual range, shaded silence; and in words."""

from __future__ import annotations

import math
from contextlib import contextmanager

import pytest
from playwright.sync_api import expect

from tests.lifeline.browser_kit import page_of
from tests.lifeline.small_city import GAS, LEVEL, RULES, SmallCity, serving
from tests.lifeline.test_outlook import MORE

pytestmark = pytest.mark.real
TRACES = """() => document.getElementById("trend").data.map((trace) => ({
  fill: trace.fill ?? "", dash: trace.line?.dash ?? "", x: trace.x, y: trace.y }))"""
RECTS = """() => document.getElementById("trend").layout.shapes
  .filter((shape) => shape.type === "rect").map((shape) => [shape.x0, shape.x1])"""


@pytest.fixture
def city(tmp_path):
    held = SmallCity(tmp_path / "data", rules={"rules.yaml": RULES + MORE})
    yield held
    held.close()


@contextmanager
def opened(browser, http, locale):
    with page_of(browser, http.base_url, locale=locale) as page:
        expect(page.get_by_role("option").first).to_be_visible()
        page.keyboard.press("j")
        expect(page.locator("#trend svg.main-svg").first).to_be_visible()
        yield page


@pytest.mark.parametrize(
    ("locale", "wanted"),
    [
        ("en-US", ("may reach the red limit 1.00 m", "most likely", "last 30 min (estimate)")),
        ("zh-CN", ("达到红色限值 1.00 m", "最可能", "按近 30 分钟趋势线（估计值）")),
    ],
)
def test_a_forecast_is_a_dashed_line_to_the_limit_in_a_wedge_and_a_sentence(
    browser,
    city,
    locale,
    wanted,
):
    city.history(LEVEL, [0.2 + 0.01 * i + 0.03 * (i % 5 == 0) + 0.02 * (i % 3) for i in range(35)])
    with serving(city.data) as http, opened(browser, http, locale) as page:
        said = page.locator("#outlook")
        for words in wanted:
            expect(said).to_contain_text(words)
        traces = page.evaluate(TRACES)
        (line,) = [t for t in traces if t["dash"] == "dash"]
        assert line["y"][-1] == pytest.approx(1.0), "to the limit"
        (wedge,) = [t for t in traces if t["fill"] == "toself"]
        assert wedge["x"][1] <= line["x"][-1] <= wedge["x"][2], "early, likely, late"


def test_the_usual_range_is_an_area_that_ends_where_nothing_was_judged(browser, city):
    quarter, n = 900, 6 * 96
    usual = [0.2 + 0.1 * math.sin(2 * math.pi * i / 96) for i in range(n)]
    city.history(GAS, usual[:-1], every_s=quarter)
    city.send(GAS, 0.95)
    with serving(city.data) as http, opened(browser, http, "en-US") as page:
        expect(page.locator("#outlook")).to_contain_text("Usual now: up to")
        expect(page.locator("#outlook")).to_contain_text("rule usual")
        (area,) = [t for t in page.evaluate(TRACES) if t["fill"] == "toself"]
        assert None in area["x"], "each piece is an area of its own"


def test_silence_is_shaded_and_not_bridged(browser, city):
    city.history(GAS, [0.1] * 20, every_s=60)
    city.send(GAS, 0.7)
    with serving(city.data) as http, opened(browser, http, "en-US") as page:
        assert page.evaluate(RECTS) == []
    with serving(city.data) as http:
        city.history(LEVEL, [0.1] * 10, every_s=1200)
        city.send(LEVEL, 0.7)
        page = browser.new_page(locale="en-US", viewport={"width": 1500, "height": 950})
        page.goto(f"{http.base_url}/#channel={LEVEL}")
        expect(page.locator("#trend svg.main-svg").first).to_be_visible()
        rects = page.evaluate(RECTS)
        assert len(rects) == 1, "one silence after another is one area"
        assert rects[0][1] - rects[0][0] > 3_600_000
        expect(page.locator("#trend")).to_contain_text("no data")
