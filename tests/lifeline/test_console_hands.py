"""What streams in never takes what a hand is on: a pressed button, an open form, a chart."""

from __future__ import annotations

import time

import pytest
from playwright.sync_api import expect

from tests.lifeline.browser_kit import on_duty, page_of
from tests.lifeline.small_city import GAS, OTHER_GAS, SmallCity, serving, until

pytestmark = pytest.mark.real
PHONE = {"width": 390, "height": 780}
HEIGHT = "document.getElementById('top').offsetHeight"
KEEP_AUDIO = """
window.AudioContext = class extends AudioContext {
  constructor() { super(); window.audio = this; }
};
"""


@pytest.fixture
def city(tmp_path):
    held = SmallCity(tmp_path / "data", simulation=True)
    held.history(GAS, [0.1, 0.12, 0.1, 0.14, 0.1, 0.11] * 10)
    yield held
    held.close()


@pytest.fixture
def page(browser, city):
    with serving(city.data) as http, on_duty(browser, http) as held:
        yield held


def words(page) -> list[str]:
    return [alarm["word"] for alarm in page.http.get("/api/alarms").json()["alarms"]]


def test_a_button_is_still_the_same_when_it_is_let_go(page, city):
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


def test_a_button_that_is_never_let_go_stops_no_alarm(page, city):
    city.send(GAS, 1.6)
    expect(page.locator("#unacked .row")).to_have_count(1)
    page.keyboard.press("j")
    page.evaluate(
        "document.getElementById('ack').dispatchEvent(new Event('pointerdown', {bubbles: true}))"
    )
    city.send(GAS, 2.7)
    city.send(GAS, 2.8)
    expect(page.locator("#unacked .row .level")).to_have_text("red")


def test_the_first_press_moves_nothing_under_itself(browser, city):
    with serving(city.data) as http, page_of(browser, http.base_url, viewport=PHONE) as page:
        page.add_init_script(KEEP_AUDIO)
        page.clock.install()
        page.reload()
        expect(page.locator("#sound")).to_have_attribute("data-state", "waits")
        height = page.evaluate(HEIGHT)
        page.locator("#language").hover()
        page.clock.pause_at(time.time() + 1.0)
        page.mouse.down()
        until(lambda: page.evaluate("audio.state") == "running")  # woken by the press
        assert page.evaluate(HEIGHT) == height
        page.mouse.up()
        page.clock.resume()
        expect(page.locator("#sound")).to_have_attribute("data-state", "on")
        expect(page.locator("html")).to_have_attribute("lang", "zh-CN")


def test_a_key_right_after_a_dialog_closed_is_no_key_of_its_field(page, city):
    city.send(GAS, 1.6)
    expect(page.locator("#unacked .row")).to_have_count(1)
    for key in "js":
        page.keyboard.press(key)
    expect(page.locator("#care-note")).to_be_visible()
    page.evaluate("""() => {
      const field = document.getElementById("care-note");
      field.focus();
      document.getElementById("care").close();  // the focus goes with the next frame
      field.dispatchEvent(new KeyboardEvent("keydown", { key: "s", bubbles: true }));
    }""")
    expect(page.locator("#care-note")).to_be_visible()


def test_the_answer_to_one_order_leaves_the_form_of_the_next_open(page, city):
    city.send(GAS, 1.6)
    expect(page.locator("#unacked .row")).to_have_count(1)
    slow = []
    page.route("**/api/incidents/*/acknowledge", lambda route, _: slow.append(route))
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


def test_a_chart_library_that_did_not_load_is_asked_for_again(browser, city):
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


def test_night_comes_without_a_reload_and_what_was_typed_stays(page, city):
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
