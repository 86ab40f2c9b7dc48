"""The page over real TLS in a real browser: a Secure cookie that scripts cannot read, kept on a
reload of the page's code, never sent in the clear; and orders that it carries.
"""

from __future__ import annotations

import ssl

import httpx
import pytest
from playwright.sync_api import expect

from lifeline.people.doorman import LoginRules
from tests import certified
from tests.lifeline.people_kit import add
from tests.lifeline.small_city import GAS, SmallCity, free_port, serving, until
from tests.lifeline.test_login_browser import enter

pytestmark = pytest.mark.real


@pytest.fixture
def site(tmp_path):
    shown = certified.good(tmp_path / "tls")
    city = SmallCity(tmp_path / "data", simulation=True)
    city.history(GAS, [0.1, 0.12, 1.6, 1.7])
    add(city.data, "li")
    port = free_port()
    origin = f"https://127.0.0.1:{port}"
    rules = LoginRules(required=True)
    with serving(
        city.data,
        ready="",
        port=port,
        login=rules,
        origin=origin,
        certificate=shown.of("page"),
    ):
        trust = ssl.create_default_context(cafile=str(shown.authority))
        with httpx.Client(base_url=origin, verify=trust, timeout=10) as http:
            until(lambda: http.get("/login").status_code == 200)
            yield city, http, origin
    city.close()


@pytest.fixture
def context(browser, site):
    held = browser.new_context(
        locale="en-US", viewport={"width": 1500, "height": 850}, ignore_https_errors=True
    )
    yield held
    held.close()


def test_a_reload_of_the_code_keeps_the_login_and_orders_go_on(site, context):
    city, _, origin = site
    page, troubles, asked = context.new_page(), [], []
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(origin)
    assert page.url == f"{origin}/login"
    enter(page, "li")
    expect(page.get_by_role("option").first).to_be_visible()
    (cookie,) = context.cookies()
    assert cookie["name"] == "__Host-lifeline"
    assert (cookie["secure"], cookie["httpOnly"], cookie["path"]) == (True, True, "/")
    assert cookie["sameSite"] in ("Lax", "Strict")
    assert page.evaluate("document.cookie") == "", "no script reads it"
    assert page.evaluate("isSecureContext")

    page.evaluate("window.before = true")
    page.reload()  # as after an update of the program
    expect(page.get_by_role("option").first).to_be_visible()
    assert page.evaluate("window.before === undefined")
    assert page.url == f"{origin}/"
    assert context.cookies() == [cookie], "the same session"

    city.send(GAS, 2.7)
    city.send(GAS, 2.8)
    expect(page.locator("#unacked .row .level").first).to_have_text("red")  # the stream is back
    page.keyboard.press("j")
    page.keyboard.press("a")
    expect(page.locator("#selected")).to_contain_text("acknowledged by li")
    assert {url.partition("://")[0] for url in asked} <= {"https", "blob", "data"}
    assert troubles == []


def test_without_its_cookie_a_reload_asks_for_the_login_and_the_next_one_lets_in(site, context):
    _, _, origin = site
    page = context.new_page()
    page.goto(origin)
    enter(page, "li")
    expect(page.get_by_role("option").first).to_be_visible()
    context.clear_cookies()
    page.reload()
    expect(page.get_by_label("password")).to_be_visible()
    enter(page, "li")
    expect(page.get_by_role("option").first).to_be_visible()


def test_a_cookie_of_a_page_in_the_clear_opens_nothing_over_tls(site, context):
    _, http, _ = site
    login = {"login": "li", "password": "horse battery staple 9"}
    answer = http.post("/login", json=login, headers={"Origin": str(http.base_url).rstrip("/")})
    assert answer.status_code == 200
    secret = http.cookies["__Host-lifeline"]
    assert http.get("/api/me").status_code == 200
    http.cookies.clear()
    http.cookies.set("lifeline", secret, domain="127.0.0.1")
    assert http.get("/api/me").status_code == 401
    assert "Secure" in answer.headers["set-cookie"]
