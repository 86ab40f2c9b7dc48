"""An alarm says when it is as last known, and when it stands too long, in list and detail."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.lifeline.browser_kit import page_of
from tests.lifeline.small_city import GAS, LEVEL, SmallCity, serving

pytestmark = pytest.mark.real


@pytest.mark.parametrize(
    ("locale", "unheard", "stands"),
    [
        ("en-US", "NO NEW DATA", "STALE: standing for more than a day"),
        ("zh-CN", "无新数据", "陈旧：持续超过一天"),
    ],
)
def test_what_is_old_says_so_until_it_is_new(browser, tmp_path, locale, unheard, stands):
    city = SmallCity(tmp_path / "data")
    try:
        city.history(LEVEL, [0.7, 0.7, 0.7], every_s=13 * 3600)
        city.send(LEVEL, 0.7)  # for more than a day, and heard of just now
        city.send(GAS, 0.7, age_s=600)  # three intervals are three minutes
        with serving(city.data) as http, page_of(browser, http.base_url, locale=locale) as page:
            rows = page.get_by_role("option")
            gas = rows.filter(has_text="123")
            level = rows.filter(has_not_text="123")
            expect(gas).to_contain_text(unheard)
            expect(level).to_contain_text(stands)
            expect(level).not_to_contain_text(unheard)
            expect(gas).not_to_contain_text(stands)
            level.click()
            expect(page.locator("#selected h2")).to_contain_text(stands)
            gas.click()
            expect(page.locator("#selected h2")).to_contain_text(unheard)
            city.send(GAS, 0.71)
            expect(gas).not_to_contain_text(unheard)
            expect(page.locator("#selected h2")).not_to_contain_text(unheard)
    finally:
        city.close()
