"""Official warnings across the page, in a real browser: whose, what, how bad, until when."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from lifeline.bench.page.browser import chromium
from tests.lifeline.caps import at, cap, info
from tests.lifeline.small_city import SmallCity, serving
from tests.lifeline.test_warnings import KEY, post

pytestmark = pytest.mark.real


@pytest.fixture
def city(tmp_path):
    held = SmallCity(tmp_path / "data")
    yield held
    held.close()


@pytest.mark.timeout(120)
@pytest.mark.parametrize("locale", ["zh-CN", "en-US"])
def test_a_warning_is_on_the_page_until_it_is_cancelled_and_one_that_ends_goes(city, locale):
    chinese = locale == "zh-CN"
    with serving(city.data, warnings_key=KEY) as http, chromium() as browser:
        page = browser.new_page(locale=locale)
        troubles = []
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.goto(str(http.base_url))
        strip = page.locator("#warnings")
        expect(page.locator("#clock")).not_to_be_empty()
        expect(strip).to_be_hidden()
        sent = at()
        post(http, cap("w-1", sent=sent))
        expect(strip).to_be_visible(timeout=3_000)
        expect(strip).to_contain_text("官方预警：" if chinese else "Official warning:")
        expect(strip).to_contain_text("郑州市气象台发布暴雨橙色预警信号")
        expect(strip).to_contain_text(f"{sent:%m-%d %H:%M:%S}")
        expect(strip).to_contain_text("金水区")
        expect(strip.locator("svg.s3")).to_have_count(1)
        hostile = info(headline="<img src=x onerror=alert(1)>".replace("<", "&lt;"), lasts_h=1)
        post(http, cap("w-2", status="Exercise", infos=[hostile]))
        expect(strip.locator(".warning")).to_have_count(2)
        expect(strip.locator(".warning").last).to_contain_text("演练" if chinese else "EXERCISE")
        expect(strip.locator("img")).to_have_count(0)
        post(http, cap("w-3", kind="Cancel", references=["w-1"], infos=[], sent=at(0.01)))
        expect(strip.locator(".warning")).to_have_count(1)
        drill = cap("w-4", kind="Cancel", status="Exercise", references=["w-2"], infos=[])
        post(http, drill)
        expect(strip).to_be_hidden()
        post(http, cap("w-5", infos=[info(lasts_h=4 / 3600)]))
        expect(strip).to_be_visible()
        expect(strip).to_be_hidden(timeout=15_000)
        assert troubles == []
