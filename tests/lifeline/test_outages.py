"""The campaign of outages: small, and each lie about what is left is found."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lifeline.cli.app import app
from lifeline.torture import shifted_time
from lifeline.torture.catalogue import OUTAGES
from lifeline.torture.faults import Faults
from lifeline.torture.faulty import OURS, FaultyStore
from lifeline.torture.links import Link
from lifeline.torture.outages import late, run_outages, untrue
from lifeline.torture.outages_page import section
from lifeline.torture.sections import carried_over, with_section

RELIABILITY = Path(__file__).parents[2] / "docs" / "reliability.md"


def row(**other):
    held = {
        "outage": "influx-503", "seconds": 7.0, "asked_s": 7.0, "sent_s": 12.0, "alarms": 20,
        "alarms_during": 9, "alarm_delay_p50_s": 0.1, "alarm_delay_p99_s": 0.2, "lost": 0,
        "acknowledged": 900, "twice": 0, "what_twice": {}, "refused": 0, "notifications": 80,
        "notifications_missing": 0, "signatures_refused": 0, "log_equal": True, "backfill_x": 40.0,
        "live_lag_s": 1.0, "recovered_s": 1.0, "seed": 1, "load": 1.5,
        "told": {"metric": "lifeline_store_down_since_seconds", "since_off_s": 0.3},
    }  # fmt: skip
    return held | other


# ---------------------------------------------------------------- the campaign itself


def test_nothing_is_lost_or_twice_while_the_store_is_down_and_when_our_clock_is_set_back():
    names = ["influx-503", "clock-back-1h"]
    rows = run_outages(names, seed=7, seconds=4.0, stop=threading.Event())
    assert sorted(each["outage"] for each in rows) == sorted(names)
    for each in rows:
        said = [s for s in untrue(each, OUTAGES[each["outage"]]) if "did not tell" not in s]
        assert said == [], each
        assert each["acknowledged"] > 100
        assert each["alarms_during"] > 0
    down = next(each for each in rows if each["outage"] == "influx-503")
    assert down["told"]["metric"] == "lifeline_store_down_since_seconds"
    assert any("reader store" in line for line in down["told"]["doctor"])


def test_a_row_that_breaks_a_promise_says_which():
    outage = OUTAGES["influx-503"]
    assert untrue(row(), outage) == []
    assert untrue(row(lost=1), outage) == ["lost 1"]
    assert untrue(row(log_equal=False), outage) == ["the event log is no fold of the journal"]
    assert untrue(row(alarms_during=0), outage) == ["no alarm during it"]
    assert "did not tell" in untrue(row(told={"doctor": []}), outage)[0]


def test_a_row_that_is_late_says_how():
    outage = OUTAGES["influx-503"]
    assert late(row(), outage) == []
    assert late(row(backfill_x=9.0), outage) == ["back-fill at 9.0 of real time"]
    assert late(row(live_lag_s=11.0), outage) == ["live data lag 11.0 s"]
    assert late(row(alarm_delay_p99_s=8.0), outage) == ["alarms after 8.0 s"]
    assert late(row(alarm_delay_p99_s=8.0), OUTAGES["broker-restart"]) == []


# ---------------------------------------------------------------- what fails as told


@pytest.fixture
def echo():
    """A server that sends back what it gets."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        while True:
            try:
                held, _ = listener.accept()
            except OSError:
                return
            with held:
                while data := held.recv(100):
                    held.sendall(data)

    threading.Thread(target=serve, daemon=True).start()
    yield listener.getsockname()[1]
    listener.close()


def is_over(connection: socket.socket) -> bool:
    """Whether the other side has ended it, with a reset or without a word."""
    connection.settimeout(5)
    try:
        return connection.recv(1) == b""
    except ConnectionError:
        return True


def test_a_link_that_is_cut_resets_what_is_there_and_refuses_what_comes(echo):
    with Link(echo) as link:
        with socket.create_connection(("127.0.0.1", link.port), 5) as held:
            held.sendall(b"x")
            assert held.recv(1) == b"x"
            link.cut()
            assert is_over(held)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", link.port), 5)
        link.join()
        with socket.create_connection(("127.0.0.1", link.port), 5) as held:
            held.sendall(b"y")
            assert held.recv(1) == b"y"


LINES = b"gas,channel=a/b/c value=1 1000\n" + b"gas,channel=x/y/z value=2 2000\n"


@pytest.mark.parametrize(
    ("fault", "status", "held"),
    [("", 204, 2), ("lines", 400, 0), ("422", 422, 1), ("401", 401, 0), ("413", 204, 2)],
)
def test_a_store_that_fails_keeps_what_influxdb_would(fault, status, held):
    with FaultyStore(marked=b"channel=a/b/c") as store:
        store.fail(fault)
        asked = http.client.HTTPConnection("127.0.0.1", store.port, timeout=5)
        asked.request("POST", "/api/v2/write?bucket=b", LINES, OURS)
        assert asked.getresponse().status == status
        asked.close()
        assert len(store.points()) == held
        dropped = list(store.dropped)
        assert len(store.points_beside(dropped)) == held + (fault == "422")
        assert sum(a.newest_ns == 2000 for a in store.arrivals) == (held > 0)


def test_a_point_that_was_refused_and_came_again_is_one():
    """The last second before an outage is written again after it, and may be taken then."""
    with FaultyStore(marked=b"channel=a/b/c") as store:
        for fault in ("422", ""):
            store.fail(fault)
            asked = http.client.HTTPConnection("127.0.0.1", store.port, timeout=5)
            asked.request("POST", "/api/v2/write?bucket=b", LINES, OURS)
            asked.getresponse()
            asked.close()
        assert len(store.points()) == 2
        assert len(store.points_beside(list(store.dropped))) == 2
        other = [b"gas,channel=a/b/c value=3 1000"]
        assert len(store.points_beside(other)) == 3, "it says something else"


def test_a_store_that_resets_gives_no_answer():
    with FaultyStore(marked=b"?") as store:
        store.fail("reset")
        asked = http.client.HTTPConnection("127.0.0.1", store.port, timeout=5)
        asked.connect()
        asked.sock.sendall(b"POST /x HTTP/1.1\r\nContent-Length: 9999\r\n\r\n" + LINES * 10)
        assert is_over(asked.sock)
        asked.close()
        assert store.points() == []


def test_the_wall_clock_of_our_processes_follows_its_switch(tmp_path, monkeypatch):
    for name in ("time", "time_ns"):
        monkeypatch.setattr(time, name, getattr(time, name))  # put back afterwards
    monkeypatch.setattr(shifted_time, "LOOK_S", -1.0)
    monkeypatch.setattr(shifted_time, "_STATE", dict(shifted_time._STATE))
    shifted_time.shift()
    shifted_time.set_from(tmp_path / "faults" / "clock")
    real_ns = time.clock_gettime_ns(time.CLOCK_REALTIME)
    assert abs(time.time_ns() - real_ns) < 60e9
    Faults(tmp_path).shift_clock(-3_600)
    assert abs(time.time_ns() - real_ns + 3_600e9) < 60e9
    assert abs(time.time() - time.time_ns() / 1e9) < 60
    Faults(tmp_path).shift_clock(0)
    assert abs(time.time_ns() - real_ns) < 60e9


# ---------------------------------------------------------------- page and command


def test_a_section_takes_its_own_place_and_no_other():
    page = "# P\n\n## A\n\na\n\n## Last\n\nz\n"
    once = with_section(page, "outages", "## Outages\n\nold")
    assert once.index("## A") < once.index("old") < once.index("## Last")
    twice = with_section(once, "outages", "## Outages\n\nnew \\1")
    assert "old" not in twice
    assert "new \\1" in twice
    both = with_section(twice, "soak", "## Soak")
    assert carried_over(page, both).count("## Soak") == 1
    assert "new \\1" in carried_over(page, both)


def test_the_section_tells_of_each_outage():
    text = section([row(outage=name) for name in OUTAGES])
    assert all(f"| {name} |" in text for name in OUTAGES)
    assert all(outage.what in text for outage in OUTAGES.values())
    assert "down_since_seconds, +0.3 s" in text
    assert "--seconds 7 --seed 1" in text


def test_the_section_says_which_rows_are_late():
    text = section([row(backfill_x=4.0), row(outage="influx-down")])
    assert "- `influx-503`: back-fill at 4.0 of real time" in text
    assert "do not hold" not in section([row()])


def test_docs_reliability_has_such_a_section():
    text = RELIABILITY.read_text(encoding="utf-8")
    for name in OUTAGES:
        (line,) = [line for line in text.splitlines() if line.startswith(f"| {name} |")]
        cells = [cell.strip() for cell in line.split("|")]
        assert (cells[5], cells[6]) == ("0", "0"), "lost, twice"
        assert cells[8].endswith(", 0"), "notifications missing"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--only", "influx-gone"], "--only influx-gone: there is influx-down"),
        (["--only", "influx-503", "--markdown", "x.md"], "leave out --only"),
    ],
)
def test_a_wrong_order_is_refused_with_the_remedy(words, said):
    done = CliRunner().invoke(app, ["outages", *words])
    assert done.exit_code == 2
    assert said in " ".join(done.output.replace("│", " ").split())
