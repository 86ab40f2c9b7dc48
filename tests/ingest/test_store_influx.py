"""The writer does with each answer of a server what the table of ingest/store/influx.py says."""

import contextlib
import gzip
import threading
import time

import numpy as np
import pytest

from ingest.store import asking, influx, metrics, settings
from ingest.store.errors import TokenUnreadable
from ingest.store.lines import LineEncoder
from rules.readings import Readings
from tests import servers, store_server, store_twin


@pytest.fixture
def server():
    with store_server.answering() as running:
        yield running


def _writer(server, stop=None, **options):
    given = {
        "url": server.url, "org": "o", "bucket": "b", "token": store_server.TOKEN,
        "first_retry_s": 0.02, "most_retry_s": 0.1, "refused_retry_s": 0.05, "timeout_s": 2.0,
    } | options  # fmt: skip
    return influx.InfluxWriter(settings.InfluxSettings(**given), stop=stop or threading.Event())


def _until(true, timeout_s=10):
    deadline = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.01)


def _writing(writer, *batch):
    """Write in a thread; its result, once there, is in the list."""
    result = []

    def run():
        with contextlib.suppress(asking.Stopped):
            result.append(writer.write(*batch))

    thread = threading.Thread(target=run)
    thread.start()
    return thread, result


def _lines(n, marks=()):
    text = [f"m,c={i}{'-' + dict(marks)[i] if i in dict(marks) else ''} value={i}.5 {i}\n"
            for i in range(n)]  # fmt: skip
    return "".join(text).encode(), n


@pytest.mark.parametrize("gzip", [True, False])
def test_a_batch_is_stored_by_one_request(server, gzip):
    written = _writer(server, gzip=gzip).write(*_lines(100))
    assert (written.stored, written.dropped, written.bad) == (100, 0, ())
    assert len(server.points) == 100
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("url", "compresses"),
    [
        ("http://127.0.0.1:8086", False), ("http://localhost:8086", False),
        ("http://[::1]:8086", False), ("http://10.0.0.5:8086", True), ("https://influx", True),
    ],
)  # fmt: skip
def test_only_what_leaves_this_machine_is_compressed(url, compresses):
    assert settings.InfluxSettings(url=url, bucket="b").compresses == compresses
    assert settings.InfluxSettings(url=url, bucket="b", gzip=True).compresses


def test_what_is_compressed_reads_back_and_is_much_smaller(server):
    body, n = _lines(5000)
    packed = influx._gzip(body)
    assert gzip.decompress(packed) == body
    assert len(packed) < len(body) / 3
    assert _writer(server, gzip=True).write(body, n).stored == n


@pytest.mark.parametrize(
    ("reason", "remedy"),
    [
        ("dropped 1 points outside retention policy of duration 2160h dropped=1", "lengthen keep"),
        ("partial write: field type conflict: input field dropped=1", "lifeline influx check"),
        ("partial write: something new dropped=1", "see the server's reason"),
    ],
)
def test_points_that_are_dropped_are_told_with_the_remedy(server, reason, remedy, monkeypatch):
    said = []
    monkeypatch.setattr(influx.log, "warning", lambda event, **k: said.append(k))
    server.script = [(422, reason)]
    assert _writer(server).write(*_lines(3)).dropped == 1
    assert remedy in said[0]["remedy"]


def test_no_lines_are_no_request(server):
    assert _writer(server).write(b"", 0).stored == 0
    assert server.requests == []


def test_one_malformed_line_among_good_ones_is_found_and_the_good_ones_are_stored(server):
    written = _writer(server).write(*_lines(1000, [(0, "MALFORMED"), (637, "MALFORMED")]))
    assert written.stored == len(server.points) == 998
    assert [b.line.split(b" ")[0] for b in written.bad] == [
        b"m,c=0-MALFORMED",
        b"m,c=637-MALFORMED",
    ]
    assert all("unable to parse" in b.reason for b in written.bad)
    assert len(server.requests) < 50


def test_points_the_server_drops_are_counted_and_the_others_stand(server):
    written = _writer(server).write(*_lines(10, [(3, "CONFLICT"), (4, "CONFLICT")]))
    assert (written.stored, written.dropped) == (8, 2)
    assert "partial write" in written.drop_reasons[0]
    assert len(server.points) == 8


def test_a_batch_too_large_is_halved_until_it_fits(server):
    server.most_bytes = 500
    assert _writer(server).write(*_lines(200)).stored == len(server.points) == 200


def test_a_single_line_too_large_is_refused_with_its_reason(server):
    server.most_bytes = 40
    body = b"m value=1 1\n" + b"m,c=" + b"x" * 60 + b" value=2 2\n"
    written = _writer(server).write(body, 2)
    assert written.stored == 1
    assert "413" in written.bad[0].reason


@pytest.mark.parametrize(
    ("options", "status", "remedy"),
    [
        ({"token": "wrong"}, 401, "write access to bucket 'b'"),
        ({"bucket": "elsewhere"}, 404, "Create bucket 'elsewhere'"),
    ],
)
def test_a_wrong_token_or_bucket_is_said_with_its_remedy_and_loses_nothing(
    server, options, status, remedy, monkeypatch
):
    said = []
    monkeypatch.setattr(asking.log, "error", lambda event, **k: said.append(k["reason"]))
    stop = threading.Event()
    writer = _writer(server, stop, **options)
    thread, result = _writing(writer, *_lines(5))
    _until(lambda: len(server.requests) >= 3)
    assert all(s[0] == status for _, _, s in server.requests)
    assert writer.down_since_s > 0
    if status == 404:
        server.buckets["elsewhere"] = {}  # someone makes the bucket: it goes on by itself
        thread.join(5)
        assert result[0].stored == 5
        assert writer.down_since_s == 0.0
    else:
        stop.set()
        thread.join(5)
        assert result == []
    assert len(said) == 1  # once a minute, not once a try
    assert str(status) in said[0]
    assert remedy in said[0]


def test_a_token_put_right_in_its_file_is_taken_by_the_next_try(server, tmp_path):
    file = tmp_path / "token"
    file.write_text("old")
    writer = _writer(server, token=None, token_file=file, refused_retry_s=0.5)
    thread, result = _writing(writer, *_lines(5))
    _until(lambda: len(server.requests) >= 2)
    file.unlink()
    time.sleep(0.7)
    assert len(server.requests) == 2  # no token, no request
    file.write_text(store_server.TOKEN + "\n")
    thread.join(5)
    assert result[0].stored == 5
    assert server.requests[-1][2][0] == 204


def test_a_stop_ends_the_waiting_without_an_answer(server):
    stop = threading.Event()
    server.script = [(503, "down")] * 1000
    writer = _writer(server, stop, first_retry_s=5.0)
    threading.Timer(0.1, stop.set).start()
    began = time.monotonic()
    with pytest.raises(asking.Stopped):
        writer.write(*_lines(5))
    assert time.monotonic() - began < 2


def test_a_server_that_hangs_does_not_hold_up_a_stop(server, monkeypatch):
    monkeypatch.setattr(asking, "STOP_WAIT_S", 0.1)
    stop = threading.Event()
    server.script = ["hang"]
    writer = _writer(server, stop, timeout_s=30.0)
    threading.Timer(0.1, stop.set).start()
    began = time.monotonic()
    with pytest.raises(asking.Stopped):
        writer.write(*_lines(5))
    assert time.monotonic() - began < 3


@pytest.mark.parametrize(
    "failure",
    [(429, "slow down"), (503, "down"), (500, "oops"), "reset", "slow", "stored, then reset"],
)
def test_passing_failures_are_tried_again_until_stored_once(server, failure):
    server.script = [failure, failure]
    assert _writer(server, timeout_s=0.3).write(*_lines(20)).stored == 20
    assert len(server.points) == 20
    assert len(server.requests) == 3


def test_retry_after_is_honoured(server):
    server.script = [(429, "slow down", [("Retry-After", "1")])]
    _writer(server).write(*_lines(2))
    first, second = (when for when, _, _ in server.requests)
    assert second - first >= 1.0


def test_a_server_that_refuses_even_no_lines_is_a_misconfiguration_not_bad_lines(server):
    """Otherwise a proxy that answers 400 to all would send a month of readings to quarantine."""
    server.refuse_all = True
    writer = _writer(server)
    thread, result = _writing(writer, *_lines(5))
    _until(lambda: len(server.requests) >= 4)
    server.refuse_all = False
    thread.join(5)
    assert (result[0].stored, result[0].bad) == (5, ())


def test_a_token_file_that_cannot_be_read_names_the_remedy(tmp_path):
    given = settings.InfluxSettings(url="http://h:1", bucket="b", token_file=tmp_path / "none")
    with pytest.raises(TokenUnreadable, match="make the file readable"):
        given.secret()
    (tmp_path / "token").write_text("abc\n")
    assert settings.InfluxSettings(
        url="http://h:1", bucket="b", token_file=tmp_path / "token"
    ).secret() == "abc"  # fmt: skip


def test_the_token_never_shows_in_the_settings_text():
    given = settings.InfluxSettings(url="http://h:1", bucket="b", token="very-secret")  # noqa: S106
    assert "very-secret" not in repr(given)


def test_real_influxd_keeps_every_number_and_name(tmp_path):
    with servers.influxd() as influxd, store_server.v2_proxy(influxd) as proxy:
        store_server.query(influxd, "CREATE DATABASE b")
        writer = _writer(proxy)
        edges = ["5e-324", "-0.0", "1.7976931348623157e308", "1e16", "0.1", "1e-7", "20.0"]
        body = "".join(f"m,d=\\ 中原\\,区\\= value={v} {i}\n" for i, v in enumerate(edges))
        assert writer.write(body.encode(), len(edges)).stored == len(edges)
        (series,) = store_server.query(influxd, 'SELECT value FROM m GROUP BY "d"')
        assert series["tags"] == {"d": " 中原,区="}
        assert [v for _, v in series["values"]] == [float(v) for v in edges]
        written = writer.write(b"m value=1.5 8\nnonsense\nm value=2.5 9\n", 3)
        assert written.stored == 2
        assert [b.line for b in written.bad] == [b"nonsense"]
        (series,) = store_server.query(influxd, "SELECT count(value) FROM m")
        assert series["values"][0][1] == len(edges) + 2


def test_no_name_however_odd_breaks_a_line_in_real_influxd():
    same = ["a\\,b", "a\\ b", 'a"b', "#x", "中原,区= x", "a\x01b", "é\u2028z", " ", "=", ",", "😀"]
    changed = {"a\nb": "a\\nb", "a\tb": "a\\tb", "a\\": "a "}  # as the client changes them
    names = dict(zip(same, same, strict=True)) | changed
    with servers.influxd() as influxd, store_server.v2_proxy(influxd) as proxy:
        store_server.query(influxd, "CREATE DATABASE b")
        body = b""
        for when, name in enumerate(names):
            row = Readings.of({"channel": [0], "judged_ns": [when], "value": [0.5]})
            encoder = LineEncoder(store_twin.registry(quantities=("ch4",), district=name))
            body += encoder.encode(row, np.zeros(1, np.uint8)).body
        written = _writer(proxy).write(body, len(names))
        assert (written.stored, written.bad) == (len(names), ())
        found = store_server.query(influxd, "SELECT value FROM gas GROUP BY district")
        times = {series["tags"]["district"]: series["values"][0][0] for series in found}
    assert times == {back: when for when, back in enumerate(names.values())}


def test_who_waits_for_a_server_is_woken_when_another_finds_it_back():
    back, stop = asking.Return(), threading.Event()
    waited = []

    def wait():
        began = time.monotonic()
        back.wait(30, stop)
        waited.append(time.monotonic() - began)

    thread = threading.Thread(target=wait)
    thread.start()
    time.sleep(0.1)
    back.tell()
    thread.join(10)
    assert waited[0] < 10
    stop.set()
    back.wait(30, stop)  # returns at once: the program ends


def test_several_that_write_to_a_bucket_tell_since_when_it_is_down_for_the_first(server):
    given = settings.InfluxSettings(
        url=server.url, bucket="b", token=store_server.TOKEN, first_retry_s=0.02
    )
    back, stop = asking.Return(), threading.Event()
    server.script = [(503, "down")] * 2
    first, second = (
        influx.InfluxWriter(given, stop=stop, waits=False, back=back) for _ in range(2)
    )
    began = time.time()
    for writer in (first, second):
        with pytest.raises(asking.NotNow):
            writer.write(*_lines(1))
        time.sleep(0.3)
    assert began <= metrics.DOWN_SINCE.labels("b")._value.get() < began + 0.3
    second.write(*_lines(1))
    assert metrics.DOWN_SINCE.labels("b")._value.get() == 0
    for writer in (first, second):
        writer.close()
