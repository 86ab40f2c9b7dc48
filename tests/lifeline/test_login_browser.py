"""Login in a real browser: in, wrong, limited by role, ended in the middle of a note, out."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from lifeline.ledger import Ledger
from lifeline.people.doorman import Doorman, LoginRules
from tests.lifeline.browser_kit import page_of
from tests.lifeline.people_kit import PASSWORD, add
from tests.lifeline.small_city import GAS, SmallCity, serving, until

pytestmark = pytest.mark.real


@pytest.fixture
def site(tmp_path):
    city = SmallCity(tmp_path / "data", simulation=True)
    city.history(GAS, [0.1, 0.12, 1.6, 1.7])
    add(city.data, "li")
    add(city.data, "looker", "viewer")
    with serving(city.data, ready="/login") as http:
        yield city, http
    city.close()


@pytest.fixture
def page(browser, site):
    with page_of(browser, site[1].base_url) as held:
        yield held


def ledger(city) -> Ledger:
    return Ledger(f"sqlite:///{city.data / 'ledger.sqlite'}")


def enter(page, login: str, password: str = PASSWORD) -> None:
    """By the keyboard alone, as labels and focus allow."""
    expect(page.get_by_label("login", exact=True)).to_be_visible()
    page.get_by_label("login", exact=True).fill(login)
    page.keyboard.press("Tab")
    expect(page.get_by_label("password")).to_be_focused()
    page.keyboard.type(password)
    page.keyboard.press("Enter")


def test_one_logs_in_by_the_keyboard_acknowledges_by_the_login_and_logs_out(page, site):
    city, _ = site
    assert page.url.endswith("/login")
    expect(page.get_by_label("login", exact=True)).to_be_focused()
    enter(page, "li", "not the password")
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("login or password is wrong")
    expect(page.get_by_label("password")).to_be_focused()
    expect(page.get_by_label("password")).to_have_value("")
    enter(page, "li")
    expect(page.locator("#me")).to_have_text("li · operator")
    expect(page.locator("#by")).to_be_hidden()
    expect(page.get_by_role("option").first).to_be_visible()
    page.keyboard.press("j")
    page.keyboard.press("a")
    expect(page.locator("#selected")).to_contain_text("acknowledged by li")
    page.keyboard.press("z")
    expect(page.locator("#ack")).to_be_visible()
    page.get_by_role("button", name="Log out").click()
    page.wait_for_url("**/login")
    page.goto(page.url.removesuffix("login"))
    assert page.url.endswith("/login"), "nothing is shown any more"
    held = ledger(city)
    (alarm,) = held.open_alarms()
    by = [e.evidence.get("by") for _, e in held.events_of(alarm.alarm_id) if "by" in e.evidence]
    held.close()
    assert set(by) == {"li"}


def test_a_viewer_is_offered_no_orders_and_the_keys_give_none(page, site):
    enter(page, "looker")
    expect(page.locator("#me")).to_have_text("looker · viewer")
    expect(page.get_by_role("option").first).to_be_visible()
    page.keyboard.press("j")
    selected = page.locator("#selected")
    expect(selected.locator(".sentence")).to_be_visible()
    for offered in ("#ack", "#comment", "#more"):
        expect(selected.locator(offered)).to_have_count(0)
    page.keyboard.press("a")
    expect(page.locator("#toast")).to_contain_text("role does not allow")
    page.keyboard.press("s")
    expect(page.locator("#care")).to_be_hidden()
    held = ledger(site[0])
    assert [a.word for a in held.open_alarms()] == ["UNACK"]
    held.close()


def test_a_session_that_ends_during_a_note_says_so_and_loses_nothing(page, site):
    city, _ = site
    enter(page, "li")
    expect(page.get_by_role("option").first).to_be_visible()
    page.keyboard.press("j")
    page.keyboard.press("s")
    page.locator("#care-note").fill("smells of gas at the corner")
    held = ledger(city)
    door = Doorman(held, LoginRules())
    _, actor = door.log_in("li", PASSWORD, address="")
    door.log_out(actor, everywhere=True)
    dialog = page.locator("#login")
    expect(dialog).to_contain_text("LOGGED OUT", timeout=5_000)
    expect(dialog.get_by_label("login", exact=True)).to_have_value("li")
    page.keyboard.press("Escape")
    expect(dialog).to_be_visible()
    page.keyboard.type("wrong wrong wrong")
    page.keyboard.press("Enter")
    expect(dialog.get_by_role("alert")).to_contain_text("wrong")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(dialog).to_be_hidden()
    expect(page.locator("#care-note")).to_have_value("smells of gas at the corner")
    page.locator("#care-note").press("Enter")
    expect(page.locator("#toast")).to_contain_text("Note written")
    until(lambda: held.open_alarms()[0].comments == 1)
    city.send(GAS, 1.9)
    expect(page.get_by_role("option").first).to_contain_text("1.90")  # it hears the city again
    expect(page.locator("#lost")).to_be_hidden()
    held.close()


def test_an_order_with_a_session_that_has_just_ended_asks_for_the_login(page, site):
    enter(page, "li")
    expect(page.get_by_role("option").first).to_be_visible()
    page.keyboard.press("j")
    page.locator("#comment").fill("on my way")
    page.context.clear_cookies()
    page.evaluate("document.getElementById('ack').click()")  # the stream may have asked already
    expect(page.locator("#login")).to_be_visible()
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.locator("#login")).to_be_hidden()
    expect(page.locator("#comment")).to_have_value("on my way")
    page.locator("#ack").click()
    expect(page.locator("#selected")).to_contain_text("on my way")


def test_the_door_speaks_chinese_and_says_what_it_is(browser, site):
    context = browser.new_context(locale="zh-CN")
    page = context.new_page()
    page.goto(f"{site[1].base_url}")
    expect(page.get_by_label("账号")).to_be_focused()
    page.get_by_label("账号").fill("li")
    page.get_by_label("密码").fill("错误的密码")
    page.get_by_role("button", name="登录").click()
    expect(page.get_by_role("alert")).to_contain_text("账号或密码错误")
    expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
    page.get_by_role("button", name="English").click()
    expect(page.get_by_label("login", exact=True)).to_have_value("li")
    context.close()
