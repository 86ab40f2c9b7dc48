"""The field page's routes: who may, what is seen, photos, calibrating through the engine."""

from __future__ import annotations

import base64
import socketserver
import threading
import time
from contextlib import contextmanager
from io import BytesIO

import httpx
import pytest
from PIL import Image

from ingest.control import parse
from lifeline.people.roles import Scope
from rules.readings import Tick
from tests.lifeline.people_kit import add, log_in
from tests.lifeline.small_city import GAS, OTHER_GAS, SmallCity, serving, until
from tests.lifeline.test_photos import SECRET, png, with_place, written

ASSET, OTHER = GAS.split("/")[0], OTHER_GAS.split("/")[0]
HERE = f"/api/field/{ASSET}"


@contextmanager
def ingest_of(city):
    """Stands for ingest at its control socket: journals what serve mirrors, ticks each 0.2 s."""
    lock, stop = threading.Lock(), threading.Event()

    class Talk(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            for line in self.rfile:
                with lock:
                    city.append(parse(line))
                self.wfile.write(b'{"offset": 1}\n')

    def tick() -> None:
        while not stop.wait(0.2):
            with lock:
                city.append(Tick(time.time_ns()))

    path = city.data / "run" / "control.sock"
    server = socketserver.ThreadingUnixStreamServer(str(path), Talk)
    server.daemon_threads = True
    threads = [threading.Thread(target=server.serve_forever, daemon=True),
               threading.Thread(target=tick, daemon=True)]  # fmt: skip
    for thread in threads:
        thread.start()
    try:
        yield lock
    finally:
        stop.set()
        server.shutdown()
        server.server_close()
        for thread in threads:
            thread.join()


@pytest.fixture
def site(tmp_path):
    city = SmallCity(tmp_path / "data", owners={ASSET: "gas-firm", OTHER: "other-firm"})
    add(city.data, "li")
    add(city.data, "wang", scope=Scope(owners=("gas-firm",)))
    add(city.data, "chen", scope=Scope(owners=("other-firm",)))
    add(city.data, "looker", "viewer")
    with serving(city.data, ready="/login") as http:
        yield city, http
    city.close()


@contextmanager
def as_(http, login):
    with httpx.Client(base_url=http.base_url, timeout=20) as held:
        assert log_in(held, login).status_code == 200
        yield held


def image(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def post(http, order: str, **body) -> httpx.Response:
    body.setdefault("command", f"{order}-1")
    return http.post(f"{HERE}/{order}", json=body)


def test_an_asset_is_told_with_what_is_open_there_and_orders_are_signed(site):
    city, http = site
    city.send(GAS, 1.6)
    with as_(http, "li") as li:
        told = until(lambda: (t := li.get(HERE).json())["incidents"] and t)
        assert told["name"]["zh"] == "中原路123号井"
        assert [a["subject"] for a in told["alarms"]] == [GAS]
        assert [c["value"] for c in told["channels"]] == [1.6]
        entry = post(li, "on-site", text="here", waited_s=90).json()["entry"]
        assert (entry["by"], entry["did"], entry["text"]) == ("li", "on_site", "here")
        assert entry["got_ms"] - entry["at_ms"] == 90_000
        assert entry["incident"] == told["incidents"][0]["id"]
        assert post(li, "on-site", text="here", waited_s=95).json()["entry"] == entry, "once"
        story = li.get(f"/api/incidents/{entry['incident']}").json()
        assert [e["by"] for e in story["events"]][-1] == "li"
        assert [e["id"] for e in story["field"]] == [entry["id"]]
        assert li.get(f"/api/assets/{ASSET}").json()["entries"] == [entry]


def test_a_viewer_looks_and_others_see_nothing_of_it(site):
    _, http = site
    with as_(http, "wang") as wang, as_(http, "looker") as looker, as_(http, "chen") as chen:
        entry = post(wang, "photo", image=image(written())).json()["entry"]
        href = entry["photo"]["href"]
        assert looker.get(HERE).json()["entries"] == [entry]
        assert looker.get(href).headers["content-type"] == "image/jpeg"
        bodies = {"on-site": {}, "note": {"text": "x"}, "photo": {"image": image(written())},
                  "calibrate": {}, "result": {"of": "0" * 12, "passed": True}}  # fmt: skip
        for order, body in bodies.items():
            assert post(looker, order, **body).status_code == 403, order
            assert post(chen, order, **body).status_code == 404, order
        assert chen.get(HERE).status_code == 404
        assert chen.get(href).status_code == 404
        with httpx.Client(base_url=http.base_url) as stranger:
            assert stranger.get(href).status_code == 401
            for path in ("/field", f"/field/{ASSET}"):
                answer = stranger.get(path)
                assert (answer.status_code, answer.headers["location"]) == (
                    303, f"/login?next={path}",
                )  # fmt: skip


def test_a_photo_comes_back_as_pixels_that_no_browser_runs(site):
    _, http = site
    with as_(http, "li") as li:
        entry = post(li, "photo", image=image(with_place()), text="valve").json()["entry"]
        answer = li.get(entry["photo"]["href"])
        assert answer.status_code == 200
        assert SECRET not in answer.content
        assert Image.open(BytesIO(answer.content)).size == (48, 64)
        assert answer.headers["content-type"] == "image/jpeg"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'; sandbox" in answer.headers["content-security-policy"]
        assert answer.headers["content-disposition"].startswith("inline")
        assert answer.headers["cache-control"].startswith("private")
        again = post(li, "photo", image=image(with_place()), text="valve").json()["entry"]
        assert again == entry
        note = post(li, "note", text="x").json()["entry"]
        for wrong in (note["id"], "0123456789ab"):
            assert li.get(f"/api/photos/{wrong}").status_code == 404
        for wrong in ("../ledger.sqlite", "%2e%2e%2fcity", "x" * 12):
            assert li.get(f"/api/photos/{wrong}").status_code in (404, 422)


@pytest.mark.parametrize(
    ("raw", "status", "said"),
    [
        ("no base64 !", 422, "base64"),
        (image(b"<svg onload='alert(1)'/>"), 422, "no photo"),
        (image(written()[:300]), 422, "broken"),
        (image(png(60_000, 60_000)), 422, "pixels"),
        (image(written() + bytes(5 << 20)), 413, "too long"),
        (image(written() + bytes((4 << 20) + 10)), 422, "image"),
        ("", 422, "image"),
    ],
)
def test_what_is_no_photo_is_refused_over_http_and_nothing_is_kept(site, raw, status, said):
    city, http = site
    with as_(http, "li") as li:
        answer = post(li, "photo", image=raw)
        assert answer.status_code == status
        assert said in answer.text
        assert answer.json()["error"]["remedy"]
        assert li.get(HERE).json()["entries"] == []
    assert list((city.data / "photos").glob("**/*.jpg")) == []


def test_only_photos_may_be_long(site):
    _, http = site
    with as_(http, "li") as li:
        assert post(li, "note", text="x", by="l" * (70 << 10)).status_code == 413


def test_calibrating_puts_the_asset_out_of_service_and_the_result_ends_it(site):
    city, http = site
    with ingest_of(city) as lock, as_(http, "li") as li:
        began = post(li, "calibrate", minutes=30, text="test gas")
        assert began.status_code == 200, began.text
        work = began.json()["entry"]
        assert [w["id"] for w in li.get(HERE).json()["work"]] == [work["id"]]
        assert post(li, "calibrate", command="c2").status_code == 409
        until(lambda: city.engine.holds.orders)
        time.sleep(0.5)  # a tick: the window begins
        with lock:
            city.send(GAS, 1.1)  # yellow
        told = until(lambda: (t := li.get(HERE).json())["alarms"] and t)
        assert told["alarms"][0]["word"] == "OOSRV"
        assert told["channels"][0]["quality"] == "calibrating"
        assert li.get(f"/api/assets/{ASSET}").json()["channels"][0]["quality"] == "calibrating"
        with lock:
            city.send(GAS, 2.2)  # orange of a fail_loud rule
        until(lambda: li.get(HERE).json()["alarms"][0]["word"] == "UNACK")
        with lock:
            city.send(GAS, 1.1)
        gave = {"of": work["id"], "passed": True, "found": 2.31, "left": 2.2, "text": "span set"}
        told = post(li, "result", **gave).json()["entry"]
        assert (told["passed"], told["found"], told["left"], told["subject"]) == (
            True, 2.31, 2.2, ASSET,
        )  # fmt: skip
        assert li.get(HERE).json()["work"] == []
        until(lambda: li.get(HERE).json()["alarms"][0]["word"] == "UNACK")
        assert post(li, "result", **(gave | {"command": "r2"})).status_code == 409


def test_one_sensor_alone_may_be_calibrated_and_none_of_elsewhere(site):
    _, http = site
    with as_(http, "li") as li:
        assert post(li, "calibrate", subject=OTHER_GAS).status_code == 422
        entry = post(li, "calibrate", subject=GAS, minutes=120).json()["entry"]
        assert (entry["match"], entry["subject"]) == ("channel", GAS)
        assert abs(entry["until_ms"] - entry["at_ms"] - 7_200_000) <= 1  # each is rounded down
        for wrong in (0, 121, 1.5, None):
            assert post(li, "calibrate", command="c3", minutes=wrong).status_code == 422
