"""The field page in a real browser on a phone: by code, on site, note, photo, through a gap."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from lifeline.ledger import Ledger
from lifeline.ledger.field import FieldBook
from tests.lifeline.people_kit import PASSWORD, add
from tests.lifeline.small_city import GAS, OTHER_GAS, SmallCity, serving, until
from tests.lifeline.test_accessible import faults
from tests.lifeline.test_field_routes import ingest_of
from tests.lifeline.test_photos import SECRET, with_place

pytestmark = pytest.mark.real
ASSET, OTHER = GAS.split("/")[0], OTHER_GAS.split("/")[0]
PHONE = {"width": 390, "height": 780}


@pytest.fixture
def site(tmp_path):
    city = SmallCity(tmp_path / "data", simulation=True)
    city.history(GAS, [0.1, 0.12, 1.6, 1.7])
    add(city.data, "li")
    add(city.data, "looker", "viewer")
    with ingest_of(city), serving(city.data, ready="/login") as http:
        yield city, http
    city.close()


def phone(browser, **more):
    given = {"viewport": PHONE, "is_mobile": True, "has_touch": True, "locale": "en-US"} | more
    return browser.new_context(**given)


@pytest.fixture
def page(browser, site):
    context = phone(browser)
    held, troubles = context.new_page(), []
    held.on("pageerror", lambda error: troubles.append(str(error)))
    yield held
    context.close()
    assert troubles == []


def enter(page, site, path: str, login: str = "li") -> None:
    page.goto(f"{site[1].base_url}{path}")
    page.locator("#login-name").fill(login)
    page.locator("#login-password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(f"**{path}")


def entries(city, asset: str = ASSET) -> list:
    """What the ledger has, oldest first."""
    ledger = Ledger(f"sqlite:///{city.data / 'ledger.sqlite'}")
    held = FieldBook(ledger).of_asset(asset)
    ledger.close()
    return held[::-1]


def said(city, asset: str = ASSET) -> list[tuple[str, str]]:
    return [(e.did.value, e.said["text"]) for e in entries(city, asset)]


def do(page, order: str, text: str) -> None:
    page.locator(f"#do-{order}").click()
    page.locator("#said").fill(text)
    page.locator(f"#form-{order} button[type=submit]").click()
    expect(page.locator(f"#form-{order}")).to_have_count(0)


def test_one_opens_an_asset_by_its_code_arrives_notes_and_photographs(page, site, tmp_path):
    city, http = site
    enter(page, site, "/field")
    page.locator("#code").fill("Zhongyuan Rd manhole 123")
    page.get_by_role("button", name="Open").click()
    expect(page.locator("h1")).to_have_text("Zhongyuan Rd manhole 123")
    assert page.url.endswith(f"/field/{ASSET}")
    expect(page.locator("#asset")).to_have_text(ASSET)
    expect(page.locator("#alarms li")).to_contain_text("orange")
    expect(page.locator("#values li")).to_contain_text("1.70")
    expect(page.locator("#incidents li")).to_contain_text("raised")
    do(page, "on-site", "two of us")
    expect(page.locator("#entries li")).to_have_count(1)
    do(page, "note", "smells <b>here</b>")
    expect(page.locator("#entries li").first).to_contain_text("smells <b>here</b>")
    raw = tmp_path / "p.jpg"
    raw.write_bytes(with_place())
    page.locator("#do-photo").click()
    page.locator("#picture").set_input_files(raw)
    page.locator("#said").fill("valve V7")
    page.locator("#form-photo button[type=submit]").click()
    shown = page.locator("#entries img")
    expect(shown).to_have_attribute("alt", "photo valve V7")
    shown.scroll_into_view_if_needed()
    expect(shown).to_have_js_property("naturalWidth", 48)
    assert said(city) == [
        ("on_site", "two of us"), ("note", "smells <b>here</b>"), ("photo", "valve V7"),
    ]  # fmt: skip
    (kept,) = (city.data / "photos").glob("*.jpg")
    assert SECRET not in kept.read_bytes()
    assert {e.by for e in entries(city)} == {"li"}
    incident = entries(city)[0].incident_id
    page.set_viewport_size({"width": 1500, "height": 850})
    page.goto(f"{http.base_url}/#incident={incident}")
    expect(page.locator("#field-log li")).to_have_count(3)
    expect(page.locator("#field-log img")).to_have_attribute("alt", "photo valve V7")
    page.goto(f"{http.base_url}/code/{ASSET}")
    expect(page.locator("#field-log li")).to_have_count(3)
    page.set_viewport_size(PHONE)
    page.locator("#to-field").click()
    expect(page.locator("#entries li")).to_have_count(3)
    narrow = page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert narrow, "nothing is wider than the phone"
    small = page.evaluate(
        "[...document.querySelectorAll('main button, main input, main select')]"
        ".filter((e) => e.getBoundingClientRect().height < 48).map((e) => e.id)"
    )
    assert small == [], "what is pressed is 48 px high"


def test_a_plates_link_opens_the_asset_after_the_login(page, site):
    enter(page, site, f"/field/{ASSET}")
    expect(page.locator("h1")).to_have_text("Zhongyuan Rd manhole 123")
    page.goto(f"{site[1].base_url}/field/no-such-thing")
    expect(page.get_by_role("alert")).to_contain_text("there is no asset 'no-such-thing'")


def test_what_is_ordered_in_a_gap_is_sent_once_each_and_in_order_when_the_link_is_back(page, site):
    city, _ = site
    enter(page, site, f"/field/{ASSET}")
    expect(page.locator("#alarms li")).to_have_count(1)
    page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    page.context.set_offline(True)
    do(page, "on-site", "first, below")
    do(page, "note", "second, below")
    expect(page.locator("#gap")).to_contain_text("NO LINK")
    expect(page.locator("#waiting li")).to_have_count(2)
    assert said(city) == []
    page.reload()  # the phone forgot the page: it opens without a link, with what it knew
    expect(page.locator("h1")).to_have_text("Zhongyuan Rd manhole 123")
    expect(page.locator("#old")).to_contain_text("as it was")
    expect(page.locator("#waiting li")).to_have_count(2)
    expect(page.locator("#waiting li").first).to_contain_text("first, below")
    do(page, "note", "third, after a reload")
    page.context.set_offline(False)
    expect(page.locator("#waits")).to_be_hidden()
    expect(page.locator("#entries li")).to_have_count(3)
    expect(page.locator("#gap")).to_be_hidden()
    assert said(city) == [
        ("on_site", "first, below"), ("note", "second, below"), ("note", "third, after a reload"),
    ]  # fmt: skip
    assert all(e.at_ns < e.got_ns for e in entries(city)), "told when it was done"


def test_an_answer_that_got_lost_makes_nothing_happen_twice(page, site):
    city, _ = site
    enter(page, site, f"/field/{ASSET}")
    expect(page.locator("#alarms li")).to_have_count(1)
    lost = []

    def lose(route):
        if len(lost) < 2:
            lost.append(route.fetch().status)  # it arrives; the answer does not
            route.abort("connectionreset")
        else:
            route.continue_()

    page.context.route("**/api/field/*/note", lose)
    do(page, "note", "once")
    expect(page.locator("#entries li")).to_have_count(1)
    expect(page.locator("#waits")).to_be_hidden()
    assert lost == [200, 200]
    assert said(city) == [("note", "once")]


def test_calibrating_for_30_minutes_is_out_of_service_until_its_result(page, site):
    city, _ = site
    enter(page, site, f"/field/{ASSET}")
    expect(page.locator("#alarms li")).to_contain_text("UNACKNOWLEDGED")
    do(page, "calibrate", "test gas 2.2 %vol")
    expect(page.locator("#work")).to_contain_text("Calibrating until")
    expect(page.locator("#values li")).to_contain_text("OUT OF SERVICE")
    (work,) = entries(city)
    assert work.said["until_ns"] - work.at_ns == pytest.approx(30 * 60 * 10**9, abs=10**8)
    until(lambda: city.engine.holds.orders, seconds=30)
    page.locator("#as-found").fill("2,31")
    page.locator("#as-left").fill("2.2")
    page.locator("#outcome").fill("span set")
    page.locator("#passed").click()
    expect(page.locator("#work")).to_have_count(0)
    expect(page.locator("#entries li").first).to_contain_text(
        "Passed · as found 2.31 · as left 2.2"
    )
    expect(page.locator("#values li")).not_to_contain_text("OUT OF SERVICE")
    end = entries(city)[-1]
    assert (end.said["of"], end.said["passed"], end.said["found"]) == (work.entry_id, True, 2.31)


def test_a_calibration_and_its_result_in_one_gap_belong_together(page, site):
    city, _ = site
    enter(page, site, f"/field/{ASSET}")
    expect(page.locator("#alarms li")).to_have_count(1)
    page.context.set_offline(True)
    do(page, "calibrate", "below")
    page.locator("#as-found").fill("1.9")
    page.locator("#failed").click()
    expect(page.locator("#waiting li")).to_have_count(2)
    expect(page.locator("#work")).to_have_count(0)
    page.context.set_offline(False)
    expect(page.locator("#entries li")).to_have_count(2)
    work, end = entries(city)
    assert (end.said["of"], end.said["passed"]) == (work.entry_id, False)


def test_a_viewer_looks_and_is_offered_nothing(page, site):
    enter(page, site, f"/field/{ASSET}", "looker")
    expect(page.locator("#alarms li")).to_have_count(1)
    expect(page.locator("#may-not")).to_contain_text("role does not allow")
    expect(page.locator("main button")).to_have_count(0)


def test_what_the_server_does_not_take_is_shown_and_holds_nothing_else_up(page, site):
    city, _ = site
    enter(page, site, f"/field/{ASSET}")
    expect(page.locator("#alarms li")).to_have_count(1)
    do(page, "calibrate", "one")
    expect(page.locator("#work")).to_be_visible()
    do(page, "calibrate", "two")  # it runs already
    expect(page.locator("#waiting li")).to_contain_text("li calibrates")
    do(page, "note", "and on")
    expect(page.locator("#waiting li")).to_have_count(1)
    assert said(city) == [("calibrate", "one"), ("note", "and on")]
    page.get_by_role("button", name="Discard").click()
    expect(page.locator("#waits")).to_be_hidden()


def test_what_one_person_ordered_is_not_sent_by_another(browser, page, site):
    city, _ = site
    add(city.data, "wang")
    enter(page, site, f"/field/{ASSET}")
    expect(page.locator("#alarms li")).to_have_count(1)
    page.context.set_offline(True)
    do(page, "note", "li's own")
    expect(page.locator("#waiting li")).to_have_count(1)
    page.context.clear_cookies()
    page.context.set_offline(False)
    page.wait_for_url("**/login?next=**")
    enter(page, site, f"/field/{ASSET}", "wang")
    expect(page.locator("#me")).to_contain_text("wang")
    do(page, "note", "wang's")
    expect(page.locator("#entries li")).to_have_count(1)
    expect(page.locator("#waiting li")).to_contain_text("of li")
    assert [(e.by, e.said["text"]) for e in entries(city)] == [("wang", "wang's")]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("locale", ["en-US", "zh-CN"])
def test_no_view_has_a_fault_that_axe_can_find(browser, site, locale, scheme):
    context = phone(browser, locale=locale, color_scheme=scheme)
    page, found = context.new_page(), {}
    enter(page, site, "/field")
    expect(page.locator("#code")).to_be_visible()
    found["door"] = faults(page)
    page.goto(f"{site[1].base_url}/field/{ASSET}")
    expect(page.locator("#alarms li")).to_have_count(1)
    expect(page.locator("h1")).to_have_text(
        "中原路123号井" if locale == "zh-CN" else "Zhongyuan Rd manhole 123"
    )
    found["asset"] = faults(page)
    for order in ("on-site", "photo", "calibrate"):
        page.locator(f"#do-{order}").click()
        found[order] = faults(page)
        page.locator(f"#form-{order} button[type=button]").click()
    if locale == "zh-CN":
        expect(page.locator("#do-on-site")).to_have_text("到场")
        expect(page.locator("#do-calibrate")).to_have_text("标定 30 分钟")
    page.context.set_offline(True)
    do(page, "calibrate", "x")
    expect(page.locator("#waiting li")).to_have_count(1)
    expect(page.locator("#gap")).to_be_visible()
    found["gap"] = faults(page)
    context.close()
    assert {view: told for view, told in found.items() if told} == {}


SCANNER = """
window.BarcodeDetector = class {
  async detect() { return [{ rawValue: `https://city.example/code/%s` }]; }
};
const canvas = document.createElement("canvas"), pen = canvas.getContext("2d");
setInterval(() => pen.fillRect(Math.random() * 9, 0, 9, 9), 50);
navigator.mediaDevices.getUserMedia = async () => canvas.captureStream(10);
"""


def test_a_plate_is_scanned_where_the_browser_can(page, site):
    page.add_init_script(SCANNER % OTHER)
    enter(page, site, "/field")
    page.locator("#scan").click()
    expect(page.locator("h1")).to_have_text("Tongbai Rd manhole 124")
    assert page.url.endswith(f"/field/{OTHER}")
