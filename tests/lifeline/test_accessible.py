"""axe-core (WCAG 2.2 A and AA) over every view of the page, dark and light, Chinese and English.

axe-core comes with a package of developers; it is no part of the product.
"""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.lifeline.browser_kit import page_of
from tests.lifeline.caps import cap
from tests.lifeline.people_kit import PASSWORD, add
from tests.lifeline.small_city import GAS, LEVEL, OTHER_GAS, SmallCity, serving
from tests.lifeline.test_warnings import KEY, post

pytestmark = pytest.mark.real
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
OPTIONS = {"resultTypes": ["violations"], "runOnly": {"type": "tag", "values": TAGS}}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    said = {"owner": "north", "cameras": '["gate https://cameras.example/7"]'}
    city = SmallCity(
        tmp_path_factory.mktemp("axe") / "data",
        simulation=True,
        attributes={GAS.split("/")[0]: {**said, "gas_pipe": f"[{OTHER_GAS.split('/')[0]}]"}},
    )
    city.history(GAS, [0.1, 0.12, 1.6, 1.7])
    city.history(OTHER_GAS, [0.1, 0.6])
    for value in (0.7, 1.2, 1.3):
        city.send(LEVEL, value)
    add(city.data, "li")
    with serving(city.data, ready="/login", warnings_key=KEY) as http:
        assert post(http, cap()).status_code == 200
        yield city, http
    city.close()


def faults(page) -> list[str]:
    """What axe has to say of the page as it stands, an element a line."""
    page.add_style_tag(content="* { animation: none !important; transition: none !important }")
    found = Axe().run(page, options=OPTIONS).response["violations"]
    return [
        f"{fault['id']}: {node['target']} {node['failureSummary']}"
        for fault in found
        for node in fault["nodes"]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("locale", ["en-US", "zh-CN"])
def test_no_view_of_the_page_has_a_fault_that_axe_can_find(browser, site, locale, scheme):
    _, http = site
    with page_of(browser, http.base_url, locale=locale, color_scheme=scheme) as page:
        said = views(page, f"{http.base_url}")
    assert len(said) == 9
    assert {view: found for view, found in said.items() if found} == {}


def views(page, city: str) -> dict[str, list[str]]:
    """What axe finds in each view, walked through by keyboard and links."""
    said: dict[str, list[str]] = {}

    def look(view: str) -> None:
        said[view] = faults(page)

    expect(page.locator("#login-name")).to_be_visible()
    look("login")
    page.locator("#login-name").fill("li")
    page.locator("#login-password").fill(PASSWORD)
    page.keyboard.press("Enter")
    rows = page.get_by_role("option")
    expect(rows.first).to_be_visible()
    expect(page.locator("canvas.city-layer")).to_be_visible()
    look("first screen")
    page.keyboard.press("j")
    expect(page.locator("#trend svg.main-svg").first).to_be_visible()
    look("alarm")
    for key, name in (("s", "care"), ("/", "find"), ("?", "help")):
        page.keyboard.press(key)
        expect(page.locator(f"#{name}")).to_be_visible()
        look(name)
        page.keyboard.press("Escape")
        page.keyboard.press("Escape") if name == "find" else None
        expect(page.locator(f"#{name}")).to_be_hidden()
    page.goto(f"{city}/code/{GAS.split('/')[0]}")
    expect(page.locator("#channels")).to_be_visible()
    look("asset")
    page.goto(f"{city}/code/410100-gas-mh-999999")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    look("nothing has this code")
    page.goto(f"{city}/?wall")
    expect(page.locator("#worst li").first).to_be_visible()
    look("wall")
    return said


def test_axe_does_find_what_is_wrong(browser):
    page = browser.new_page()
    page.set_content("<html lang=en><title>x</title><p style='color:#bbb;background:#fff'>pale</p>")
    assert any(fault.startswith("color-contrast") for fault in faults(page))
    page.close()
