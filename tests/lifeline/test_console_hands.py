"""What streams in never takes what a hand is on: a pressed button, an open form, a chart."""

from __future__ import annotations

import time

import pytest
from playwright.sync_api import expect

from tests.lifeline.small_city import GAS, OTHER_GAS, serving, until
from tests.lifeline.test_console_browser import browser, city  # noqa: F401 - fixtures

pytestmark = pytest.mark.real


@pytest.fixture
def page(browser, city):  # noqa: F811
    troubles: list[str] = []
    with serving(city.data) as http:
        held = browser.new_page(locale="en-US", viewport={"width": 1500, "height": 900})
        held.on("pageerror", lambda error: troubles.append(str(error)))
        held.http = http
        held.goto(f"{http.base_url}")
        held.evaluate("localStorage.setItem('by', 'li')")
        held.reload()
        yield held
        held.close()
    assert troubles == []


def words(page) -> list[str]:
    return [alarm["word"] for alarm in page.http.get("/api/alarms").json()["alarms"]]


def test_a_button_is_still_the_same_when_it_is_let_go(page, city):  # noqa: F811
    page.clock.install()
    page.reload()
    city.send(GAS, 1.6)
    expect(page.locator("#unacked .row")).to_have_count(1)
    page.keyboard.press("j")
    expect(page.locator("#now")).to_contain_text("1.60")
    page.locator("#ack").hover()
    page.clock.pause_at(time.time() + 1.0)  # a busy machine makes this press no longer than it is
    page.mouse.down()
    page.evaluate("window.pressed = document.getElementById('ack')")
    city.send(OTHER_GAS, 2.7)
    city.send(OTHER_GAS, 2.8)
    # said at once, drawn when the button is let go
    expect(page.locator("#announce")).to_contain_text("New alarm, red")
    assert page.evaluate("document.getElementById('ack') === window.pressed")
    page.mouse.up()
    page.clock.resume()
    until(lambda: sorted(words(page)) == ["ACKED", "UNACK"])
    expect(page.locator("#selected")).to_contain_text("acknowledged by li")


def test_a_button_that_is_never_let_go_stops_no_alarm(page, city):  # noqa: F811
    city.send(GAS, 1.6)
    expect(page.locator("#unacked .row")).to_have_count(1)
    page.keyboard.press("j")
    page.evaluate(
        "document.getElementById('ack').dispatchEvent(new Event('pointerdown', {bubbles: true}))"
    )
    city.send(GAS, 2.7)
    city.send(GAS, 2.8)
    expect(page.locator("#unacked .row .level")).to_have_text("red")


def test_the_answer_to_one_order_leaves_the_form_of_the_next_open(page, city):  # noqa: F811
    city.send(GAS, 1.6)
    expect(page.locator("#unacked .row")).to_have_count(1)
    slow = []
    page.route("**/api/incidents/*/acknowledge", lambda route: slow.append(route))  # noqa: PLW0108 - playwright marks its handler
    for key in "jia":
        page.keyboard.press(key)
    page.wait_for_timeout(50)
    (order,) = slow
    answer = order.fetch()
    here = page.locator(".flow li[aria-current=step]")
    expect(here).to_contain_text("acknowledged")  # the stream was faster than the answer
    page.keyboard.press("f")
    expect(page.locator("#order-cause")).to_be_focused()
    order.fulfill(response=answer)
    expect(page.locator("#toast")).to_contain_text("Acknowledge")
    expect(page.locator("#order-cause")).to_be_focused()


def test_a_chart_library_that_did_not_load_is_asked_for_again(browser, city):  # noqa: F811
    with serving(city.data) as http:
        page = browser.new_page(locale="en-US")
        times = []
        page.route("**/vendor/plotly.min.js", lambda route: (
            times.append(1), route.abort() if len(times) == 1 else route.continue_(),
        ))  # fmt: skip
        page.goto(f"{http.base_url}")
        city.send(GAS, 1.6)
        expect(page.locator("#unacked .row")).to_have_count(1)
        page.keyboard.press("j")
        expect(page.locator("#toast")).to_contain_text("plotly.min.js did not load")
        expect(page.locator("#trend svg.main-svg").first).to_be_visible(timeout=15_000)
        page.close()


def test_night_comes_without_a_reload_and_what_was_typed_stays(page, city):  # noqa: F811
    city.send(GAS, 1.6)
    expect(page.locator("#unacked .row")).to_have_count(1)
    page.keyboard.press("j")
    expect(page.locator("#trend svg.main-svg").first).to_be_visible()
    page.locator("#comment").fill("two of us are on the")
    ink = "getComputedStyle(document.querySelector('#trend .xtick text')).fill"
    by_day = page.evaluate(ink)
    page.evaluate("window.notReloaded = true")
    page.emulate_media(color_scheme="dark")
    until(lambda: page.evaluate(ink) != by_day)
    assert page.evaluate("window.notReloaded")
    expect(page.locator("#comment")).to_have_value("two of us are on the")
