"""A calibration on site tries the device out: one proof test of that channel, and no second one."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from lifeline.duty.proof import proven_by
from lifeline.duty.settings import DutySettings
from lifeline.ledger import Ledger, ProofTests
from rules.events import EventType
from tests.lifeline.small_city import GAS, LEVEL, SmallCity, serving, until

DAY_NS = 86_400 * 10**9
DUTY = DutySettings(test_every_ns={"ch4": 90 * DAY_NS})
ASSET = GAS.split("/")[0]


@pytest.fixture
def site(tmp_path):
    city = SmallCity(tmp_path / "data")
    with serving(city.data, duty=DUTY) as http:
        until(lambda: http.get("/api/state").json()["site"])
        yield city, http
    city.close()


def calibrated(http, asset: str, *, passed: bool, **more) -> dict:
    """Order a calibration and note its result, each twice; give the result's entry."""
    for _ in range(2):
        body = {"by": "li", "command": f"c{passed}", **more}
        answer = http.post(f"/api/field/{asset}/calibrate", json=body)
        assert answer.status_code == 200, answer.text
    body = {"by": "li", "command": f"r{passed}", "of": answer.json()["entry"]["id"]}
    body |= {"passed": passed, "found": 2.31, "left": 2.2, "text": "span set"}
    for _ in range(2):
        answer = http.post(f"/api/field/{asset}/result", json=body)
        assert answer.status_code == 200, answer.text
    return answer.json()["entry"]


def state(http, channel: str) -> dict:
    tests = http.get("/api/proof-tests").json()["tests"]
    return next(test for test in tests if test["channel"] == channel)


def test_its_result_is_the_channels_proof_test_once(site):
    city, http = site
    assert state(http, GAS)["state"] == "overdue"
    assert calibrated(http, ASSET, passed=True)["proved"] == GAS
    tested = state(http, GAS)
    assert (tested["state"], tested["by"]) == ("good", "li")
    assert tested["note"] == "calibration 标定; as found 校前 2.31; as left 校后 2.2; span set"
    ledger = Ledger(f"sqlite:///{city.data / 'ledger.sqlite'}")
    assert len(ledger.events_of_type(EventType.PROOF_TESTED)) == 1
    assert len(ProofTests(ledger).history(GAS)) == 1
    ledger.close()


def test_one_that_did_not_pass_raises_the_alarm_of_a_failed_test_and_the_next_clears_it(site):
    _, http = site

    def failed() -> list[dict]:
        return http.get("/api/alarms", params={"rule": "proof-test-failed"}).json()["alarms"]

    calibrated(http, ASSET, passed=False)
    (alarm,) = until(failed)
    assert (alarm["subject"], alarm["severity"], alarm["active"]) == (GAS, 3, True)
    assert state(http, GAS)["state"] == "failed"
    calibrated(http, ASSET, passed=True, subject=GAS)
    assert not failed()[0]["active"]
    assert state(http, GAS)["state"] == "good"


def test_what_has_no_interval_is_proved_by_no_calibration(site):
    city, http = site
    assert "proved" not in calibrated(http, LEVEL.split("/")[0], passed=True)
    ledger = Ledger(f"sqlite:///{city.data / 'ledger.sqlite'}")
    assert ledger.events_of_type(EventType.PROOF_TESTED) == ()
    ledger.close()


def test_of_several_safety_channels_one_result_proves_none_unless_it_is_named():
    channels = SimpleNamespace(
        id=("a/s1/x", "a/s2/x", "a/s2/y"),
        quantity=("ch4", "ch4", "level"),
        klass=("safety", "safety", "safety"),
        state=("in_service",) * 3,
        alive=np.ones(3, np.bool_),
        asset=np.zeros(3, np.int32),
        device=np.array([0, 1, 1], np.int32),
    )
    registry = SimpleNamespace(
        channels=channels,
        channel_row={name: row for row, name in enumerate(channels.id)},
        device_row={"d0": 0, "d1": 1},
        asset_row={"a": 0},
    )
    site, every = SimpleNamespace(registry=registry), {"ch4": DAY_NS}
    assert proven_by(site, every, "asset", "a") == ""
    assert proven_by(site, every, "device", "d1") == "a/s2/x"
    assert proven_by(site, every, "channel", "a/s1/x") == "a/s1/x"
    assert proven_by(site, every, "channel", "a/s2/y") == ""
    assert proven_by(site, every, "device", "gone") == ""
    assert proven_by(site, {}, "channel", "a/s1/x") == ""
