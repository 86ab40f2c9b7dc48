"""The page in a real browser: an alarm appears by itself and is acknowledged by the keyboard."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from lifeline.ledger import Ledger
from rules.flood import FloodLimits
from tests.lifeline.small_city import GAS, LEVEL, OTHER_GAS, RULES, SmallCity, serving, until

pytestmark = pytest.mark.real


@pytest.fixture
def city(tmp_path):
    held = SmallCity(tmp_path / "data", simulation=True)
    held.history(GAS, [0.1, 0.12, 0.1, 0.14, 0.1, 0.11] * 10)
    yield held
    held.close()


BOOK = """# Ponding · 积水

## 中文
1. 看视频。

## English
1. Look at the cameras,
   then **close** the road.
2. Call the crews.
"""
SAYS = """
  source: vendor
  source_text: data sheet · 说明书
  labels: {team: drain-duty}
  known_false_positives: ["a <b>splash</b> · 溅水"]
  runbook: ponding
"""


@pytest.mark.parametrize("locale", ["en-US", "zh-CN"])
def test_what_a_rule_says_and_its_runbook_stand_beside_the_alarm(browser, tmp_path, locale):
    rules = RULES.replace("\n  source: vendor\n", SAYS)
    city = SmallCity(tmp_path / "data", rules={"rules.yaml": rules, "runbooks/ponding.md": BOOK})
    city.history(LEVEL, [0.1, 0.1, 1.2])
    try:
        with serving(city.data) as http:
            page = browser.new_page(locale=locale, viewport={"width": 1500, "height": 850})
            troubles: list[str] = []
            page.on("pageerror", lambda error: troubles.append(str(error)))
            page.goto(f"{http.base_url}")
            expect(page.get_by_role("option").first).to_be_visible()
            page.keyboard.press("j")
            todo = page.locator("#todo")
            if locale == "en-US":
                wanted = ("Ponding", "rule on trial", "a <b>splash</b>", "data sheet")
                steps = ["1. Look at the cameras, then close the road.", "2. Call the crews."]
            else:
                wanted, steps = ("积水", "规则试运行", "溅水", "说明书"), ["1. 看视频。"]
            for said in (*wanted, "team: drain-duty"):
                expect(todo).to_contain_text(said)
            expect(todo.locator(".step")).to_have_text(steps)
            assert todo.locator("b").count() == 0
            assert troubles == []
            page.close()
    finally:
        city.close()


def test_an_alarm_appears_without_a_reload_and_is_acknowledged_by_keyboard(browser, city):
    with serving(city.data) as http:
        page = browser.new_page(locale="en-US", viewport={"width": 1500, "height": 850})
        troubles: list[str] = []
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("console", lambda said: said.type == "error" and troubles.append(said.text))
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"{http.base_url}")
        expect(page.locator("#unacked")).to_contain_text("quiet")
        expect(page.locator("#banner")).to_contain_text("演练")
        expect(page.locator("#limits")).to_contain_text("not approved for this site")
        expect(page.locator("#foot")).to_contain_text("Not SIL-rated")
        page.evaluate("window.notReloaded = true")

        city.send(GAS, 1.3)
        row = page.get_by_role("listbox", name="UNACKNOWLEDGED").get_by_role("option")
        expect(row).to_contain_text("methane 1.30 %vol (26 %LEL)")
        expect(row).to_contain_text("unconfirmed")
        said = page.locator("#announce[aria-live=assertive]")
        expect(said).to_contain_text("methane 1.30 %vol (26 %LEL), Zhongyuan Rd manhole 123")
        city.send(GAS, 1.6)
        expect(row.locator(".level")).to_have_text("orange")
        expect(said).to_contain_text("New alarm, orange")
        expect(row).to_contain_text("methane 1.60 %vol (32 %LEL)")  # what it reads now

        page.keyboard.press("j")
        expect(row).to_be_focused()
        expect(row).to_have_attribute("aria-selected", "true")
        selected = page.locator("#selected")
        expect(selected.locator(".sentence")).to_contain_text("limit 1.25 %vol")
        expect(selected.locator("#trend svg.main-svg").first).to_be_visible()
        expect(selected.locator("#trend")).to_contain_text("orange 1.25 clause")
        expect(selected.locator("#now")).to_contain_text("0.35 %vol above the orange limit 1.25")
        expect(selected.locator("#todo")).to_contain_text("Send a patrol")
        page.keyboard.press("a")
        expect(page.locator("#by")).to_be_focused()  # a name first
        page.keyboard.type("Li Wei")
        page.keyboard.press("Enter")
        page.keyboard.press("a")
        expect(page.locator("#toast")).to_contain_text("Acknowledged")
        expect(selected).to_contain_text("acknowledged by Li Wei")
        until(lambda: http.get("/api/alarms").json()["alarms"][0]["acked_by"] == "Li Wei")

        page.keyboard.press("z")
        until(lambda: http.get("/api/alarms").json()["alarms"][0]["word"] == "UNACK")
        expect(page.locator("#ack")).to_be_visible()
        page.keyboard.press("a")
        until(lambda: http.get("/api/alarms").json()["alarms"][0]["word"] == "ACKED")
        page.keyboard.press("Escape")
        expect(page.locator("#acked .row")).to_have_count(1)

        page.keyboard.press("l")
        expect(page.locator("#acked .row")).to_contain_text("甲烷")
        expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
        expect(page.get_by_role("listbox", name="已确认").get_by_role("option")).to_have_count(1)
        assert page.evaluate("window.notReloaded")
        assert troubles == []
        host = http.base_url.netloc.decode()
        assert all(f"//{host}/" in url or url.startswith(("data:", "blob:")) for url in asked)
        page.close()


def test_rows_do_not_jump_while_one_reads_and_new_ones_announce_themselves(browser, city):
    with serving(city.data) as http:
        page = browser.new_page(locale="en-US")
        page.goto(f"{http.base_url}")
        city.send(LEVEL, 0.7)
        rows = page.locator("#unacked .row")
        expect(rows).to_have_count(1)
        page.keyboard.press("j")
        city.send(OTHER_GAS, 2.7)
        city.send(OTHER_GAS, 2.8)
        expect(page.locator("#new")).to_contain_text("1 new")
        expect(rows).to_have_count(1)
        page.keyboard.press("n")
        expect(rows).to_have_count(2)
        expect(rows.first).to_contain_text("methane")
        page.close()


def test_any_channel_is_reached_by_keyboard_and_tells_its_limits(browser, city):
    with serving(city.data) as http:
        page = browser.new_page(locale="zh-CN")
        page.goto(f"{http.base_url}")
        expect(page.locator("#unacked")).to_contain_text("当前无报警")
        page.keyboard.press("/")
        expect(page.locator("#query")).to_be_focused()
        page.keyboard.type("中原路123")
        expect(page.locator("#found button")).to_have_count(1)
        page.keyboard.press("Enter")
        channel = page.locator("#channels button")
        expect(channel).to_have_text("甲烷")
        channel.press("Enter")
        expect(page.locator("#now")).to_contain_text("距蓝色限值 0.50 %vol 尚有 0.39 %vol")
        expect(page.locator("#trend")).to_contain_text("蓝 0.50 标准")
        page.keyboard.press("Escape")
        page.keyboard.press("Escape")
        expect(page.locator("#selected")).to_contain_text("未选中报警")
        page.close()


def test_a_lost_connection_is_said_across_the_page(browser, city):
    with serving(city.data) as http:
        page = browser.new_page(locale="en-US")
        page.goto(f"{http.base_url}")
        expect(page.locator("#age")).to_contain_text("data")
    expect(page.locator("#lost")).to_contain_text("CONNECTION LOST", timeout=15_000)
    page.close()


def test_a_link_opens_its_alarm_asset_or_channel(browser, city):
    with serving(city.data) as http:
        city.send(GAS, 1.6)
        city.send(GAS, 1.7)
        until(lambda: http.get("/api/alarms").json()["alarms"])
        alarm = http.get("/api/alarms").json()["alarms"][0]["id"]
        page = browser.new_page(locale="en-US", viewport={"width": 1500, "height": 850})
        troubles: list[str] = []
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.goto(f"{http.base_url}/#alarm={alarm}")
        selected = page.locator("#selected")
        expect(selected.locator(".sentence")).to_contain_text("methane 1.60 %vol")
        page.evaluate(f"location.hash = 'channel={OTHER_GAS}'")  # the page is open already
        expect(selected).to_contain_text(OTHER_GAS)
        page.goto("about:blank")
        page.goto(f"{http.base_url}/#channel={GAS.replace('/', '%2F')}")
        expect(selected).to_contain_text(GAS)
        expect(selected.locator("#now")).to_contain_text("above the orange limit")
        page.goto("about:blank")
        page.goto(f"{http.base_url}/#asset={LEVEL.split('/')[0]}")
        expect(selected).to_contain_text("Jingguang underpass")
        page.goto("about:blank")
        page.goto(f"{http.base_url}/#alarm=000000000000")
        expect(page.locator("#toast")).to_contain_text("000000000000 is over")
        assert troubles == []
        page.close()


@pytest.mark.parametrize("locale", ["en-US", "zh-CN"])
def test_an_alarm_is_shelved_noted_assigned_and_judged_by_keyboard(browser, city, locale):
    zh = locale == "zh-CN"
    city.send(GAS, 1.6)
    with serving(city.data) as http:
        page = browser.new_page(locale=locale, viewport={"width": 1500, "height": 850})
        troubles: list[str] = []
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.goto(f"{http.base_url}")
        page.locator("#by").fill("li")
        page.locator("#by").press("Escape")
        expect(page.get_by_role("option").first).to_be_visible()
        page.keyboard.press("j")

        def care(last: str, *filled: tuple[str, str]) -> None:
            """Open the dialog, fill what is asked and press Enter in the last field."""
            page.keyboard.press("s")
            expect(page.locator("#care")).to_be_visible()
            for field, text in filled:
                page.locator(field).fill(text)
            page.locator(last).press("Enter")
            expect(page.locator("#care")).not_to_be_visible()

        care("#care-note", ("#care-note", "smells <b>of eggs</b>"))
        care("#care-to", ("#care-to", "wang"))
        expect(page.locator("#cared")).to_contain_text("负责人 wang" if zh else "with wang")
        page.keyboard.press("s")
        page.locator("#care-verdict").select_option("false")
        page.locator("#care-cause").select_option("biogas")
        page.locator("#care-cause").locator("xpath=ancestor::form").locator("button").press("Enter")
        expect(page.locator("#care")).not_to_be_visible()  # its order is answered
        expect(page.locator("#cared")).to_contain_text(
            "误报：沼气" if zh else "false alarm: biogas"
        )
        row = page.get_by_role("option").first
        care("#care-reason", ("#care-reason", "works"))
        expect(row).to_have_attribute("data-word", "SHLVD")
        page.keyboard.press("n")  # rows stay where they are while one reads
        expect(page.locator("#acked").get_by_role("option")).to_have_count(1)
        expect(page.locator("#history")).to_contain_text("smells <b>of eggs</b>")
        page.keyboard.press("s")
        page.locator("#care form").first.locator("button").press("Enter")
        expect(page.locator("#care")).not_to_be_visible()
        expect(row).to_have_attribute("data-word", "UNACK")
        page.keyboard.press("s")
        page.keyboard.press("Escape")
        expect(page.locator("#care")).not_to_be_visible()
        assert troubles == []
        page.close()
    ledger = Ledger(f"sqlite:///{city.data / 'ledger.sqlite'}")
    alarm = next(a for a in ledger.open_alarms() if a.subject == GAS)
    ledger.close()
    assert (alarm.assigned_to, alarm.verdict, alarm.cause, alarm.comments) == (
        "wang", "false", "biogas", 1,
    )  # fmt: skip


def test_a_flood_stands_across_the_page_and_names_its_first_alarm(browser, city):
    with serving(city.data, flood=FloodLimits(begins=2, ends=1)) as http:
        page = browser.new_page(locale="en-US", viewport={"width": 1500, "height": 850})
        page.goto(f"{http.base_url}")
        city.send(OTHER_GAS, 0.6)
        expect(page.get_by_role("option")).to_have_count(1)
        expect(page.locator("#flood")).not_to_be_visible()
        city.send(LEVEL, 0.7)
        city.send(GAS, 0.6)
        expect(page.locator("#flood")).to_contain_text("ALARM FLOOD since")
        expect(page.get_by_role("option")).to_have_count(3)  # alarms themselves are never folded
        first = page.get_by_role("option").filter(has_text="FIRST OUT")
        expect(first).to_have_count(1)
        expect(first).to_contain_text("Tongbai Rd manhole 124")
        page.close()
