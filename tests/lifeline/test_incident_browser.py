"""An incident in a real browser, by keyboard alone: from its alarm to its end, in both tongues."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from lifeline.people.roles import Scope
from tests.lifeline.browser_kit import on_duty
from tests.lifeline.people_kit import PASSWORD, add
from tests.lifeline.small_city import GAS, LEVEL, OTHER_GAS, SmallCity, serving, until

pytestmark = pytest.mark.real
MINUTE = 60 * 10**9
MORE = {
    "410100-gas-mh-000123": {
        "cameras": "['https://video.example.org/12', 'javascript:alert(1)']",
        "pipes": "[410100-gas-mh-000124]",
    },
    "410100-gas-mh-000124": {"valve": "true"},
}
PEOPLE = {"410100-gas-mh-000123": 40}
TARGETS = {"acknowledged": {4: 1}, "on_site": {4: 600 * MINUTE}}


@pytest.fixture
def city(tmp_path):
    held = SmallCity(tmp_path / "data", joined=True, attributes=MORE, people=PEOPLE)
    held.history(GAS, [0.1, 0.12, 0.1, 0.14, 0.1, 0.11] * 10)
    yield held
    held.close()


@pytest.fixture
def page(browser, city):
    """The page of the city, without an account; whatever breaks in it fails the test."""
    with serving(city.data, targets=TARGETS) as http, on_duty(browser, http) as held:
        yield held


def incidents(page, **query) -> list[dict]:
    return page.http.get("/api/incidents", params=query).json()["incidents"]


def press(page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def said(page, key: str, text: str = "", *, cause: str = "") -> None:
    """Order by its key; what there is to say is typed, Enter gives it."""
    press(page, key)
    expect(page.locator("#care")).to_be_visible()
    if cause:
        page.keyboard.type(cause)
        press(page, "Tab")
    page.keyboard.type(text)
    press(page, "Enter")
    expect(page.locator("#care")).to_be_hidden()


def test_from_the_alarm_to_the_incident_and_each_step_to_its_end(city, page):
    city.send(GAS, 2.7, age_s=40)
    city.send(GAS, 2.8, age_s=20)
    until(lambda: [i for i in incidents(page) if i["severity"] == 4])
    expect(page.locator("#unacked .row")).to_have_count(1)
    press(page, "j")
    expect(page.locator("#its-incident")).to_be_visible()
    press(page, "i")
    row = page.get_by_role("listbox", name="incidents").get_by_role("option")
    expect(row).to_be_focused()
    expect(row).to_contain_text("raised · 1 alarm")
    expect(row).to_contain_text("OVERDUE: acknowledged")
    expect(page.locator("#alarm-lists")).to_be_hidden()
    selected = page.locator("#selected")
    expect(selected.locator(".sentence")).to_contain_text("First out: ")
    expect(selected.locator(".sentence")).to_contain_text("methane")
    expect(selected.locator("#dues")).to_contain_text("on site due in 10")
    concern = selected.locator("#concern")
    expect(concern).to_contain_text("About 40 people")
    expect(concern).to_contain_text("Close Tongbai Rd manhole 124")
    expect(concern.get_by_role("link")).to_have_count(1)
    expect(concern.get_by_role("link")).to_have_attribute("href", "https://video.example.org/12")
    here = selected.locator(".flow li[aria-current=step]")
    expect(here).to_contain_text("raised")

    press(page, "x")  # not from here
    expect(page.locator("#toast")).to_contain_text("Close is not possible: raised")
    press(page, "a")
    expect(here).to_contain_text("acknowledged")
    expect(here).to_contain_text("li")
    expect(row).not_to_contain_text("OVERDUE")
    expect(selected.locator("#members")).to_contain_text("first out · acknowledged")

    city.send(OTHER_GAS, 1.1)  # an alarm joins: news, while somebody works on it
    expect(row).to_contain_text("2 alarms")
    expect(row).to_contain_text("NEWS")
    expect(selected.locator("#members .pick")).to_have_count(2)
    expect(selected.locator("#history")).to_contain_text("an alarm joined")
    expect(here).to_contain_text("acknowledged")
    press(page, "a")
    expect(row).not_to_contain_text("NEWS")

    said(page, "v", "seen on video")
    expect(here).to_contain_text("verified")
    said(page, "w", "wang")
    expect(row).to_contain_text("with wang")
    said(page, "t", "smells of eggs")
    expect(selected.locator("#history")).to_contain_text("li: smells of eggs")
    said(page, "h", "ring the gas firm at six")
    expect(selected.locator("#handover")).to_contain_text("Handed over by li: ring the gas firm")
    for key, stage in (("d", "dispatched"), ("o", "on site"), ("c", "mitigated")):
        said(page, key)
        expect(here).to_contain_text(stage)
    press(page, "x", "l", "Tab", "Enter")
    expect(page.locator("#toast")).to_contain_text("still stand")
    press(page, "Escape")


def test_closed_once_its_alarms_have_returned(city, page):
    city.history(LEVEL, [0.1, 1.2, 1.2])
    expect(page.locator("#unacked .row")).to_have_count(1)
    press(page, "i", "j")
    here = page.locator(".flow li[aria-current=step]")
    press(page, "a")
    expect(here).to_contain_text("acknowledged")
    for key, stage in (
        ("d", "dispatched"), ("o", "on site"), ("c", "mitigated"),
    ):  # fmt: skip
        said(page, key)
        expect(here).to_contain_text(stage)
    city.send(LEVEL, 0.1, age_s=-30)
    city.send(LEVEL, 0.1, age_s=-60)
    until(lambda: not incidents(page)[0]["active"])
    expect(page.locator(".inc")).to_contain_text("returned")
    said(page, "x", cause="weather")
    ended = page.locator("#ended")
    expect(ended).to_contain_text("closed · weather")
    expect(page.locator(".inc")).to_have_count(0)
    assert [(i["stage"], i["cause"]) for i in incidents(page, over=True)] == [("closed", "weather")]
    press(page, "Escape")
    expect(ended).to_have_count(0)
    press(page, "i")
    expect(page.locator("#alarm-lists")).to_be_visible()


def test_a_false_alarm_with_its_cause_in_chinese(city, page):
    city.send(GAS, 1.6)
    expect(page.locator("#unacked .row")).to_have_count(1)
    press(page, "l", "i", "j")
    row = page.get_by_role("listbox", name="事件列表").get_by_role("option")
    expect(row).to_contain_text("已上报 · 1 条报警")
    press(page, "a")
    here = page.locator(".flow li[aria-current=step]")
    expect(here).to_contain_text("已确认")
    press(page, "f")
    care = page.locator("#care")
    expect(care.locator("#order-cause")).to_be_focused()
    press(page, "Tab")
    expect(care.locator("#order-reason")).to_be_focused()
    page.keyboard.insert_text("旁边是污水井")
    press(page, "Enter")  # without a cause there is none
    expect(care.locator("#order-cause")).to_be_focused()
    press(page, *["ArrowDown"] * 6, "Tab")
    press(page, "Enter")
    expect(page.locator("#ended")).to_contain_text("误报 · 沼气 – 旁边是污水井")
    (held,) = incidents(page, over=True)
    assert (held["stage"], held["cause"], held["by"]["false_alarm"]) == (
        "false_alarm", "biogas", "li",
    )  # fmt: skip
    said(page, "r", "又有气味")
    expect(here).to_contain_text("已确认")
    expect(row).to_have_count(1)


def test_a_link_opens_an_incident_and_its_alarm_opens_from_it(city, page):
    city.send(GAS, 1.6)
    (held,) = until(lambda: incidents(page))
    page.goto(f"{page.http.base_url}/#incident={held['id']}")
    expect(page.locator("#members .pick")).to_have_count(1)
    page.locator("#members .pick").press("Enter")
    expect(page.locator("#ack")).to_be_visible()
    press(page, "a")
    until(lambda: page.http.get("/api/alarms").json()["alarms"][0]["acked"])
    press(page, "Escape")
    expect(page.locator("#members")).to_contain_text("acknowledged")
    expect(page.locator(".flow li[aria-current=step]")).to_contain_text("raised")


def test_a_viewer_is_offered_no_orders_and_a_firm_only_the_comment(browser, tmp_path):
    owners = {"410100-gas-mh-000123": "firm", "410100-gas-mh-000124": "other"}
    city = SmallCity(tmp_path / "data", owners=owners, joined=True)
    add(city.data, "looker", "viewer")
    add(city.data, "firm", "operator", Scope(owners=frozenset({"firm"})))
    city.send(OTHER_GAS, 1.6, age_s=60)
    city.send(GAS, 1.1)
    with serving(city.data, ready="/login") as http:
        for login, offered in (("looker", []), ("firm", ["Comment (t)"])):
            page = browser.new_page(locale="en-US", viewport={"width": 1500, "height": 900})
            page.goto(f"{http.base_url}/login")
            page.locator("#login-name").fill(login)
            page.locator("#login-password").fill(PASSWORD)
            page.keyboard.press("Enter")
            expect(page.locator("#unacked .row").first).to_be_visible()
            press(page, "i", "j")
            expect(page.locator("#members .pick")).to_have_count(2 if login == "looker" else 1)
            shown = page.locator(".orders.many button:not(.phone)")
            expect(shown).to_have_text(offered)
            if login == "firm":
                expect(page.locator(".inc")).to_contain_text("others' alarms too")
                assert "Tongbai" not in page.content()
            page.close()
    city.close()
