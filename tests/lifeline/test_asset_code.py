"""A city code opens its asset: in the API, in a real browser, after a login, or in words."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from lifeline.bench.page.browser import chromium
from lifeline.console.asset_routes import cameras
from lifeline.people.roles import Scope
from tests.lifeline.people_kit import PASSWORD, add, log_in
from tests.lifeline.small_city import GAS, LEVEL, OTHER_GAS, SmallCity, serving, until

ONE, OTHER = GAS.split("/")[0], OTHER_GAS.split("/")[0]
DRAIN = LEVEL.split("/")[0]
CAMERAS = '["north gate https://cameras.example/7", "javascript:alert(1)"]'


@pytest.fixture
def city(tmp_path):
    said = {"owner": "north", "depth": "2.1", "gas_pipe": f"[{OTHER}]", "cameras": CAMERAS}
    held = SmallCity(
        tmp_path / "data", simulation=True, attributes={ONE: said, OTHER: {"owner": "south"}}
    )
    held.history(GAS, [0.1, 0.12, 1.6, 1.7])
    yield held
    held.close()


def test_an_asset_tells_whose_and_where_it_is_what_it_says_and_who_is_beside_it(city):
    with serving(city.data) as http:
        until(lambda: http.get("/api/alarms").json()["alarms"])
        told = until(lambda: (x := http.get(f"/api/assets/{ONE}").json())["alarms"] and x)
        assert (told["owner"], told["at"], told["district"]) == (
            "north",
            [113.62, 34.75],
            "Zhongyuan",
        )
        assert told["design"] == {"depth": 2.1}
        (channel,) = told["channels"]
        assert (channel["id"], channel["value"], channel["quality"]) == (GAS, 1.7, "good")
        assert [a["subject"] for a in told["alarms"]] == [GAS]
        (beside,) = [n for n in told["neighbours"] if n["by"]]
        assert (beside["id"], beside["by"], beside["away_m"]) == (OTHER, "gas_pipe", 1441)
        assert beside["name"] == {"en": "Tongbai Rd manhole 124", "zh": "桐柏路124号井"}
        assert told["cameras"] == [
            {"name": "north gate", "url": "https://cameras.example/7"},
            {"name": "javascript:alert(1)", "url": ""},
        ]
        back = http.get(f"/api/assets/{OTHER}").json()
        assert [(n["id"], n["by"]) for n in back["neighbours"]] == [(ONE, "gas_pipe")]
        assert back["channels"][0]["quality"] == "none"
        city.send(OTHER_GAS, 0.1, age_s=3_600)
        until(lambda: http.get(f"/api/assets/{OTHER}").json()["channels"][0]["quality"] == "old")
        gone = http.get("/api/assets/410100-gas-mh-999999")
        assert gone.status_code == 404
        assert gone.json()["error"]["field"] == "asset_id"
        assert "没有该设施" in gone.json()["error"]["message"]


def test_only_web_addresses_become_links():
    held = ["rtsp://a/1", "data:text/html,x", "http:///x", "http://a/1"]
    assert [camera["url"] for camera in cameras(held)] == ["", "", "", "http://a/1"]
    assert cameras("gate https://a.example/?cam=7") == [
        {"name": "gate", "url": "https://a.example/?cam=7"}
    ]
    assert cameras(7) == []


@pytest.mark.parametrize("code", [ONE, GAS, GAS.replace("/", "%2F"), f"{ONE}/"])
def test_a_code_is_a_page_and_one_that_nothing_has_is_a_404_in_words(city, code):
    with serving(city.data) as http:
        page = http.get(f"/code/{code}")
        assert page.status_code == 200
        assert '<section id="place">' in page.text
        missing = http.get("/code/<script>alert(1)</script>")
        assert missing.status_code == 404
        assert missing.headers["content-type"].startswith("text/html")
        assert "Nothing in this city has the code &lt;script&gt;" in missing.text
        assert "没有编码为" in missing.text
        assert "<script" not in missing.text


def test_a_code_of_another_firm_is_not_there(city):
    add(city.data, "south", scope=Scope(owners=frozenset({"south"})))
    with serving(city.data, ready="/login") as http:
        stranger = http.get(f"/code/{ONE}")
        assert (stranger.status_code, stranger.headers["location"]) == (
            303,
            f"/login?next=/code/{ONE}",
        )
        log_in(http, "south")
        assert http.get(f"/code/{OTHER}").status_code == 200
        assert http.get(f"/code/{ONE}").status_code == 404
        assert http.get(f"/api/assets/{ONE}").status_code == 404


@pytest.mark.real
@pytest.mark.parametrize("locale", ["en-US", "zh-CN"])
def test_a_scanned_code_asks_for_the_login_and_then_opens_its_asset(city, locale):
    add(city.data, "li")
    with serving(city.data, ready="/login") as http, chromium() as browser:
        page = browser.new_page(locale=locale, viewport={"width": 1500, "height": 850})
        troubles: list[str] = []
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.goto(f"{http.base_url}/code/{ONE}")
        page.locator("#login-name").fill("li")
        page.locator("#login-password").fill(PASSWORD)
        page.keyboard.press("Enter")
        page.wait_for_url(f"**/code/{ONE}")
        selected = page.locator("#selected")
        english = locale == "en-US"
        expect(selected.locator("h2")).to_contain_text(
            "Zhongyuan Rd manhole 123" if english else "中原路123号井"
        )
        for said in ("owner north", "34.75000, 113.62000") if english else ("权属 north",):
            expect(selected.locator("#facts")).to_contain_text(said)
        expect(selected.locator("#channels")).to_contain_text("1.70")
        expect(selected.locator(".pick").first).to_contain_text("methane" if english else "甲烷")
        link = selected.locator("#cameras a")
        expect(link).to_have_count(1)
        expect(link).to_have_attribute("href", "https://cameras.example/7")
        selected.locator("#neighbours button").first.press("Enter")
        expect(selected.locator("h2")).to_contain_text(
            "Tongbai Rd manhole 124" if english else "桐柏路124号井"
        )
        page.goto(f"{http.base_url}/code/{GAS}")
        expect(selected.locator("#trend svg.main-svg").first).to_be_visible(timeout=30_000)
        page.goto("about:blank")
        page.goto(f"{http.base_url}/login?next=//evil.example/code/")
        page.locator("#login-name").fill("li")
        page.locator("#login-password").fill(PASSWORD)
        page.keyboard.press("Enter")
        expect(page.locator("#lists")).to_be_visible()
        assert page.url.startswith(str(http.base_url))
        assert troubles == []
