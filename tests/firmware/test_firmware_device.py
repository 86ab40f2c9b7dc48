"""What makes the device in C believable: thresholds, sleep, its clock, its faults, its counter."""

import json
import socket
import subprocess
import time

import numpy as np
import pytest

from tests.firmware.posted import Commanded, Posts, until

DEVICE = "410100-gas-nb-000123"
EPOCH_MS = 1_767_225_600_000
CITY = {"epoch_ms": EPOCH_MS}


def port(frames, number):
    """(times in city ms, values) of a port over all frames."""
    t = np.concatenate([f.event_ns[f.port == number] for f in frames]) // 10**6
    v = np.concatenate([f.value[f.port == number] for f in frames])
    return t - EPOCH_MS, v


def test_only_samples_that_moved_by_the_delta_are_kept_and_a_sign_of_life(firmware):
    with Posts() as server:
        tally = firmware.tally(
            firmware.start(
                "module", DEVICE, server.port, count=9, ports=1, batch=4, interval_ms=1000,
                factor=200, delta=0.35, report_ms=20_000, leak_after=41, **CITY,
            )
        )  # fmt: skip
    at_ms, value = port(server.frames, 1)
    quiet = at_ms < 40_500
    assert tally["samples"] > 3 * len(value) > 9
    assert np.all(np.diff(at_ms[quiet]) >= 20_000)  # nothing moved: only signs of life
    moved = np.abs(np.diff(value))[~quiet[1:]]
    # 0.1 %vol a sample: kept each fourth (0.4 ≥ 0.35), until it stays at 4 %vol
    assert np.all(moved[:5] >= 0.35)
    assert np.all(moved[:5] <= 0.45)


def test_a_level_wakes_a_sleeping_module_at_once_and_the_rest_comes_with_its_timer(firmware):
    with Posts() as server:
        began_s = time.monotonic()
        process = firmware.start(
            "module", DEVICE, server.port, count=12, ports=1, batch=8, interval_ms=10_000,
            factor=200, level=1.0, psm_ms=400_000, leak_after=52, **CITY,
        )  # fmt: skip
        tally = firmware.tally(process)
    # 400 s of sleep at 200 times are 2 s; the leak reaches 1 %vol with its tenth sample: 620 s
    crossing = next(f for f in server.frames if f.value[-1] >= 1.0)
    at_s = server.arrived_s[server.frames.index(crossing)] - began_s
    true_s = (crossing.event_ns[-1] // 10**6 - EPOCH_MS) / 1000 / 200
    assert crossing.value[-2] < 1.0
    assert at_s - true_s < 0.5  # awake for it, not at 800 s (4 s)
    before = [s for s in server.arrived_s if s < server.arrived_s[0] + 0.4]
    assert server.arrived_s[0] - began_s > 1.9  # asleep until its timer
    assert len(before) >= 4  # then what it had kept, with the times of the samples
    at_ms, _ = port(server.frames, 1)
    assert np.all(np.abs(np.diff(at_ms) - 10_000) <= 2_500)
    assert (tally["woken"], tally["acknowledged"]) == (2, 12)
    forwarded = [payload[3] & 4 for payload in server.payloads.values()]
    assert sum(forwarded) == 4 * 11  # all but the one that woke it


def test_a_clock_drifts_by_its_parts_in_a_million_and_is_set_by_the_network(firmware):
    with Posts() as server:
        device = Commanded(
            firmware, "module", DEVICE, server.port, count=100_000, ports=1, batch=1,
            interval_ms=1_000_000, factor=100_000, ppm=50_000, linger_ms=1000, **CITY,
        )  # fmt: skip
        time.sleep(0.3)
        wrong = json.loads(device.ask("status"))
        true_ms = wrong["clock_ms"] - wrong["clock_error_ms"] - EPOCH_MS
        assert wrong["clock_error_ms"] == pytest.approx(true_ms * 0.05, rel=0.02)
        assert wrong["clock_error_ms"] > 1_000_000
        assert device.ask("clock sync") == "ok"
        assert json.loads(device.ask("status"))["clock_error_ms"] < 1_000_000
        assert device.ask("clock ppm 0") == "ok"
        assert device.ask("clock sync") == "ok"
        assert device.ask("clock jump -3600000") == "ok"
        assert json.loads(device.ask("status"))["clock_error_ms"] == -3_600_000
        device.ask("stop")
        device.end()


def test_samples_taken_before_the_clock_was_set_get_their_true_time_when_it_is(firmware):
    with Posts() as server:
        device = Commanded(
            firmware, "module", DEVICE, server.port, count=3, ports=1, batch=4, interval_ms=10_000,
            factor=100, clock_unset=True, **CITY,
        )  # fmt: skip
        until(lambda: len(server.frames) == 1, "the first message")
        time.sleep(0.15)  # one or two samples of the second
        device.ask("clock sync")
        device.end()
    first, second, third = server.frames
    assert first.clock_unset
    assert first.event_ns[-1] // 10**6 < 60_000  # from 1970
    assert not second.clock_unset
    assert not third.clock_unset
    at_ms, _ = port([second, third], 1)
    assert np.all(np.abs(np.diff(at_ms) - 10_000) < 4_000)
    assert 35_000 < at_ms[0] < 50_000


FAULTS = {
    "stuck": lambda before, after: len(set(after)) == 1 and after[0] in before,
    "spike 50": lambda _, after: {5 * round(v / 5) for v in after} == {20, 70},
    "bias 7": lambda _, after: np.all(np.abs(after - 27) < 0.6),
    "dropout": lambda _, after: len(after) == 0,
    "scale 20": lambda _, after: np.all(np.abs(after - 400) < 11),
    "saturate 99": lambda _, after: set(after) == {99.0},
    "noise 30": lambda _, after: np.ptp(after) > 5,
    "code -999": lambda _, after: set(after) == {-999.0},
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_on_command_shows_as_it_is_named_and_goes_when_told(firmware, fault):
    with Posts() as server:
        device = Commanded(
            firmware, "module", DEVICE, server.port, count=10_000, ports=2, batch=1, interval_ms=8,
        )  # fmt: skip

        def sequence():
            return json.loads(device.ask("status"))["sequence"]

        until(lambda: len(server.frames) >= 3, "three messages")
        cuts = [sequence()]
        assert device.ask(f"fault 2 {fault}") == "ok"
        cuts.append(sequence())
        until(lambda: len(server.frames) >= cuts[1] + 30, "thirty more")
        cuts.append(sequence())
        assert device.ask("fault 2 none") == "ok"
        cuts.append(sequence())
        until(lambda: len(server.frames) >= cuts[3] + 10, "ten more")
        device.ask("stop")
        device.end()
    parts = [
        [f for f in server.frames if low < f.sequence <= high]
        for low, high in ((0, cuts[0]), (cuts[1], cuts[2]), (cuts[3], 1 << 30))
    ]
    assert all(len(part) >= n for part, n in zip(parts, (3, 20, 10), strict=True))
    before, during, after = ([v for f in part for v in f.value[f.port == 2]] for part in parts)
    assert parts[0]
    assert parts[1]

    if fault == "stuck":  # on what it showed last, which is not among those before for sure
        before = [
            f.value[f.port == 2][0] for f in server.frames if cuts[0] <= f.sequence <= cuts[1]
        ]
    assert FAULTS[fault](np.array(before), np.array(during))
    assert np.all(np.abs(np.array(after) - 20) < 1)
    statuses = {s for f in parts[1] for s in f.status[f.port == 2].tolist()}
    assert statuses == ({1} if fault.startswith("code") else set() if fault == "dropout" else {0})


def test_a_counter_starts_again_at_its_wrap(firmware):
    with Posts() as server:
        firmware.tally(
            firmware.start(
                "module", DEVICE, server.port, count=5, ports=3, batch=4, interval_ms=2,
                counter_port=3, counter_wrap=20,
            )
        )  # fmt: skip
    _, total = port(server.frames, 3)
    assert total.tolist() == [3 * n % 20 for n in range(1, 21)]


def test_a_reboot_by_command_counts_a_boot_and_begins_its_sequences_again(firmware, tmp_path):
    with Posts() as server:
        device = Commanded(
            firmware, "module", DEVICE, server.port, count=20, ports=1, batch=1, interval_ms=20,
            state=tmp_path / "boot", warm_ms=100,
        )  # fmt: skip
        until(lambda: len(server.frames) >= 8, "eight messages")
        assert device.ask("reboot") == "ok"
        told = json.loads(device.end())
    keys = [(f.boot, f.sequence) for f in server.frames]
    turn = next(i for i, (boot, _) in enumerate(keys) if boot == 2)
    assert keys == [(1, n + 1) for n in range(turn)] + [(2, n + 1) for n in range(20 - turn)]
    assert told["restarts"] == 1
    assert server.frames[0].status.tolist() == [2]
    assert server.frames[turn].status.tolist() == [2]  # it warms up again
    assert server.frames[-1].status.tolist() == [0]


def test_a_wrong_command_is_answered_with_what_to_write(firmware, tmp_path):
    path = tmp_path / "control"
    with Posts() as server:
        process = firmware.start(
            "module", DEVICE, server.port, count=1000, interval_ms=50, control=path
        )
        until(path.exists, "the socket")
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            lines = client.makefile("rw")

            def ask(line):
                lines.write(line + "\n")
                lines.flush()
                return lines.readline().rstrip()

            assert ask("fault 9 stuck").startswith("error: write fault PORT")
            assert ask("fault 1 bias").startswith("error: write fault PORT")
            assert ask("fault 1 melted 3").startswith("error: write fault PORT")
            assert (
                ask("clock fast") == "error: write clock sync|unset, clock jump MS or clock ppm PPM"
            )
            assert ask("counter 5").startswith("error: write counter NUMBER")
            assert ask("dance") == (
                "error: write fault, clock, link, leak, counter, status, reboot or stop"
            )
            assert ask("stop") == "ok"
        firmware.tally(process)
    assert not path.exists()


def test_options_that_do_not_agree_are_refused_with_the_remedy(firmware, tmp_path):
    for wrong, said in (
        (["module", "--ring-file", str(tmp_path / "r")], "--ring-file needs --state"),
        (["gateway", "--psm-ms", "5"], "--psm-ms is for a module"),
        (["gateway", "--counter-port", "9"], "--counter-port is none"),
        (["module", "--ports", "16", "--batch", "16"], "512 bytes"),
    ):
        ended = subprocess.run(
            [firmware.program, *wrong, "--device", DEVICE],
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 2
        assert said in ended.stderr
