"""The wall-board and the sound, in a real browser: read across the room, nobody touches it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from playwright.sync_api import expect

from lifeline.bench.page.browser import chromium
from tests.lifeline.small_city import GAS, LEVEL, OTHER_GAS, SmallCity, free_port, serving, until

pytestmark = pytest.mark.real
COUNT_TONES = """
window.tones = 0;
const made = AudioContext.prototype.createOscillator;
AudioContext.prototype.createOscillator = function () {
  window.tones += 1;
  return made.call(this);
};
"""
DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture
def city(tmp_path):
    held = SmallCity(tmp_path / "data", simulation=True)
    held.history(GAS, [0.1, 0.12, 0.1, 0.14, 0.1, 0.11] * 10)
    yield held
    held.close()


def open_page(browser, http, path: str, locale: str = "en-US", **how):
    page = browser.new_page(locale=locale, viewport={"width": 1920, "height": 1080}, **how)
    page.troubles = []
    page.on("pageerror", lambda error: page.troubles.append(str(error)))
    page.add_init_script(COUNT_TONES)
    page.goto(f"{http.base_url}{path}")
    return page


@pytest.mark.parametrize("locale", ["en-US", "zh-CN"])
def test_the_wall_shows_counts_map_and_the_newest_red_large_and_nothing_to_press(city, locale):
    english = locale == "en-US"
    with serving(city.data) as http, chromium() as browser:
        page = open_page(browser, http, "?wall", locale)
        worst = page.locator("#worst")
        expect(worst).to_contain_text("The city is quiet" if english else "当前无报警")
        city.send(LEVEL, 0.7)
        for _ in range(2):
            city.send(GAS, 2.7)
        rows = worst.locator("li")
        expect(rows).to_have_count(2)
        expect(rows.first).to_have_class("big-row first")
        expect(rows.first).to_contain_text("UNACKNOWLEDGED" if english else "未确认")
        expect(rows.first).to_contain_text("methane 2.70" if english else "甲烷 2.70")
        expect(worst.locator("h2")).to_contain_text("2")
        for hidden in (
            "#lists",
            "#selected",
            "#by",
            "#find-button",
            "#help-button",
            "#figures-button",
            "#shift-button",
        ):
            expect(page.locator(hidden)).to_be_hidden()
        gas = page.locator(".tile").first
        expect(gas.locator(".count").first).to_have_text("1")
        size = gas.locator(".count").first.evaluate(
            "(e) => parseFloat(getComputedStyle(e).fontSize)"
        )
        assert size >= 32, "the counts are read across the room"
        for box in ("html", "#tiles", ".tile", "#worst"):
            wide = "(all) => Math.max(...all.map((e) => e.scrollWidth - e.clientWidth))"
            assert page.locator(box).evaluate_all(wide) <= 0, box
        expect(page.locator(".pin").first).to_be_visible()
        for _ in range(2):
            city.send(OTHER_GAS, 2.8)
        expect(rows.first).to_contain_text("Tongbai" if english else "桐柏路")
        if os.environ.get("LIFELINE_SCREENSHOTS"):
            page.screenshot(path=DOCS / ("wall.png" if english else "wall.zh-CN.png"))
        page.keyboard.press("w")
        expect(page.locator("#lists")).to_be_visible()
        assert "wall" not in page.url
        assert page.troubles == []


def test_the_wall_comes_back_by_itself_after_a_restart_and_says_meanwhile_that_it_is_old(city):
    port = free_port()
    with chromium() as browser:
        with serving(city.data, port=port) as http:
            page = open_page(browser, http, "?wall")
            expect(page.locator("#worst")).to_contain_text("quiet")
        expect(page.locator("#lost")).to_contain_text("CONNECTION LOST", timeout=20_000)
        with serving(city.data, port=port):
            expect(page.locator("#lost")).to_be_hidden(timeout=30_000)
            city.send(LEVEL, 0.7)
            expect(page.locator("#worst li")).to_have_count(1, timeout=20_000)
            assert page.troubles == []


def test_data_that_are_old_are_said_across_the_page(tmp_path):
    bare = SmallCity(tmp_path / "data", simulation=True)
    with serving(bare.data) as http, chromium() as browser:
        page = open_page(browser, http, "?wall")
        expect(page.locator("#old")).to_contain_text("NO DATA")
        bare.send(LEVEL, 0.1)
        expect(page.locator("#old")).to_be_hidden()
    bare.close()


def test_a_red_sounds_until_it_is_acknowledged_or_muted_and_muting_is_kept(city):
    with serving(city.data) as http, chromium() as browser:
        page = open_page(browser, http, "")
        sound = page.locator("#sound")
        expect(sound).to_contain_text("SOUND WAITS")  # the browser's rule, said aloud
        page.keyboard.press("Escape")
        expect(sound).to_have_text("sound on")
        city.send(LEVEL, 0.7)
        expect(page.get_by_role("option")).to_have_count(1)
        page.wait_for_timeout(2_500)
        assert page.evaluate("tones") == 0, "yellow is silent"
        for _ in range(2):
            city.send(GAS, 2.7)
        expect(sound).to_have_attribute("data-state", "sounds")
        until(lambda: page.evaluate("tones") >= 4)
        page.keyboard.press("q")
        expect(sound).to_contain_text("MUTED")
        heard = page.evaluate("tones")
        page.wait_for_timeout(2_500)
        assert page.evaluate("tones") == heard
        page.reload()
        expect(sound).to_contain_text("MUTED")
        page.keyboard.press("q")
        expect(sound).to_have_attribute("data-state", "sounds")
        page.locator("#by").fill("li")
        page.locator("#by").press("Escape")
        page.keyboard.press("j")
        page.keyboard.press("a")
        expect(page.locator("#toast")).to_contain_text("Acknowledged")
        expect(sound).to_have_attribute("data-state", "on")
        assert page.troubles == []


def test_a_wall_that_may_not_sound_says_how_to_let_it(city):
    with serving(city.data) as http:
        with chromium() as browser:
            page = open_page(browser, http, "?wall")
            expect(page.locator("#unheard")).to_contain_text("no-user-gesture-required")
        with chromium("--autoplay-policy=no-user-gesture-required") as browser:
            page = open_page(browser, http, "?wall")
            for _ in range(2):
                city.send(GAS, 2.7)
            expect(page.locator("#sound")).to_have_attribute("data-state", "sounds")
            expect(page.locator("#unheard")).to_be_hidden()
            until(lambda: page.evaluate("tones") >= 2)
