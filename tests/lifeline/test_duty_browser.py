"""Hand-over, proof tests and figures in a real browser, by keyboard, in both languages."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from lifeline.duty.settings import DutySettings
from lifeline.kpi.figures import Aims
from tests.lifeline.people_kit import PASSWORD, add
from tests.lifeline.small_city import GAS, LEVEL, SmallCity, serving

pytestmark = pytest.mark.real
DAY_NS = 86_400 * 10**9
DUTY = DutySettings(aims=Aims(ack_s={2: 600.0}), test_every_ns={"ch4": 90 * DAY_NS})


@pytest.fixture
def city(tmp_path):
    held = SmallCity(tmp_path / "data")
    held.history(GAS, [0.1, 0.12, 0.1] * 10)
    yield held
    held.close()


def opened(browser, http, login: str, locale: str):
    context = browser.new_context(locale=locale, viewport={"width": 1500, "height": 900})
    page = context.new_page()
    page.troubles = []
    page.on("pageerror", lambda error: page.troubles.append(str(error)))
    page.goto(f"{http.base_url}/login")
    page.locator("#login-name").fill(login)
    page.locator("#login-password").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.locator("#me")).to_be_visible()
    return page


def test_a_shift_is_handed_over_by_one_and_taken_by_another(browser, city):
    for login in ("li", "wang"):
        add(city.data, login, "operator")
    with serving(city.data, ready="/login", duty=DUTY) as http:
        li = opened(browser, http, "li", "en-US")
        city.send(GAS, 1.1)
        city.send(LEVEL, 0.7)
        expect(li.locator("#unacked").get_by_role("option")).to_have_count(2)
        li.keyboard.press("h")
        box = li.locator("#duty-shift")
        expect(box).to_contain_text("open 2: unacknowledged 2, shelved 0")
        box.get_by_label("to whom").select_option("wang")
        button = box.get_by_role("button", name="Hand over")
        button.click()
        expect(box.locator("#hand-overs")).to_have_count(0)  # the note is required
        box.get_by_label("what they have to know").fill("<b>pump 3</b> is out\nuntil noon")
        button.click()
        expect(li.locator("#toast")).to_contain_text("wang confirms")
        expect(box.locator("#hand-overs")).to_contain_text("waits for confirmation")
        expect(box).to_contain_text("<b>pump 3</b> is out")
        assert box.locator("b").count() == 0

        wang = opened(browser, http, "wang", "zh-CN")
        wang.keyboard.press("h")
        theirs = wang.locator("#duty-shift")
        expect(theirs).to_contain_text("li 于")
        expect(theirs).to_contain_text("当时未结束 2 条")
        theirs.get_by_label("备注（可选）").fill("已阅")
        theirs.get_by_role("button", name="确认接班").click()
        expect(theirs.locator("#hand-overs")).to_contain_text("已接班")
        with wang.context.expect_page() as told:
            theirs.get_by_role("link", name="本班报告").click()
        report = told.value
        expect(report.locator("#hand_overs")).to_contain_text("已阅")
        expect(report.locator("#open")).to_contain_text("井")
        assert report.locator("#hand_overs b").count() == 0
        assert li.troubles == wang.troubles == []


@pytest.mark.parametrize("locale", ["en-US", "zh-CN"])
def test_proof_tests_and_figures_are_at_hand(browser, city, locale):
    zh = locale == "zh-CN"
    with serving(city.data, duty=DUTY) as http:
        context = browser.new_context(locale=locale, viewport={"width": 1500, "height": 900})
        page = context.new_page()
        troubles: list[str] = []
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.goto(f"{http.base_url}")
        page.locator("#by").fill("li")
        page.keyboard.press("Enter")
        city.send(GAS, 1.1)
        row = page.locator("#unacked").get_by_role("option")
        expect(row).to_have_count(1)
        page.keyboard.press("j")
        page.keyboard.press("a")
        expect(page.locator("#toast")).to_contain_text("已确认" if zh else "Acknowledged")

        page.keyboard.press("h")
        box = page.locator("#duty-shift")
        expect(box.locator("#tests")).to_contain_text("逾期 2 项" if zh else "2 overdue")
        test = box.locator(f'[data-channel="{GAS}"]')
        failed = test.get_by_role("button", name="未通过" if zh else "failed", exact=True)
        failed.click()
        expect(page.locator("#toast")).to_contain_text("note")  # one that failed says why
        test.get_by_role("textbox").fill("no answer")
        failed.click()
        expect(box.locator("#tests")).to_contain_text(
            "未通过 1 项" if zh else "1 FAILED", timeout=15_000
        )
        expect(box.locator("#tests")).to_have_class(re.compile("loud"))
        found = http.get("/api/alarms?rule=proof-test-failed").json()["alarms"]
        assert [x["subject"] for x in found] == [GAS]
        test.get_by_role("button", name="通过" if zh else "passed", exact=True).click()
        expect(box.locator(f'[data-channel="{GAS}"]')).to_have_count(0)

        page.keyboard.press("Escape")
        expect(box).not_to_be_visible()
        page.keyboard.press("p")
        figures = page.locator("#duty-figures")
        expect(figures.locator('[data-key="mean"]')).to_contain_text("达标" if zh else "met")
        expect(figures.locator('[data-key="ack"]')).to_contain_text("≤ 10 min")
        expect(figures.locator("svg rect.few")).not_to_have_count(0)
        expect(figures).to_contain_text("主要报警源" if zh else "Noisiest sources")
        figures.get_by_role("button", name="30").click()
        expect(figures.get_by_role("button", name="30")).to_have_attribute("aria-pressed", "true")
        page.keyboard.press("Escape")
        page.keyboard.press("?")
        expect(page.locator("#help")).to_contain_text(
            "报警系统指标" if zh else "figures of the alarm"
        )
        assert troubles == []
        context.close()
