"""Similar past alarms stand beside the one selected, in both languages, without a mouse."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.lifeline.browser_kit import page_of
from tests.lifeline.small_city import GAS, SmallCity, serving, until
from tests.lifeline.test_similar import episode, listed

pytestmark = pytest.mark.real


@pytest.mark.parametrize(
    ("locale", "wanted", "none"),
    [
        ("en-US", ("Similar past alarms", "blue", "true alarm: biogas", "same source"), "None is"),
        ("zh-CN", ("相似历史报警", "蓝", "真报警：沼气", "同一报警源"), "暂无"),
    ],
)
def test_what_it_was_the_last_time_and_what_was_done_is_read_beside_it(
    browser,
    tmp_path,
    locale,
    wanted,
    none,
):
    city = SmallCity(tmp_path / "data")
    try:
        with serving(city.data) as http, page_of(browser, http.base_url, locale=locale) as page:
            note = "sewer <b>beside</b> it"
            city.send(GAS, 0.7, age_s=200)
            expect(page.get_by_role("option")).to_have_count(1)
            page.keyboard.press("j")
            box = page.locator("#similar")
            expect(box).to_contain_text(none)
            page.keyboard.press("Escape")
            city.send(GAS, 0.1, age_s=199)
            city.send(GAS, 0.1, age_s=188)
            until(lambda: not listed(http))
            episode(city, http, GAS, 0.8, cause="biogas", note=note)
            city.send(GAS, 0.6)
            expect(page.get_by_role("option")).to_have_count(1)
            page.keyboard.press("j")
            for said in (*wanted, note, "li"):
                expect(box).to_contain_text(said)
            assert box.locator("b").count() == 0, "what people wrote is text"
            expect(box.locator("ol > li")).to_have_count(2)
    finally:
        city.close()
