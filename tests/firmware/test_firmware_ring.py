"""The ring on disk: what the device said it kept is delivered, once, whatever cuts its power."""

import json
import random
import struct
import subprocess
import time

import google_crc32c
import pytest

from ingest.codecs import compact
from tests.firmware.posted import Commanded, Posts, until

DEVICE = "410100-gas-nb-000123"
HEAD, TAIL = 14, 4


def files(tmp_path):
    return {"state": tmp_path / "boot", "ring_file": tmp_path / "ring"}


def held(firmware, path):
    """What the ring's file holds, by the device's own reading: (torn, damaged, [(boot, seq)])."""
    run = subprocess.run(
        [firmware.program, "ring", path], capture_output=True, text=True, check=True
    )
    told = json.loads(run.stdout)
    return told["torn"], told["damaged"], [tuple(key) for key in told["waiting"]]


def entries(raw):
    """Read the log of entries independently: (kind, boot, sequence, payload, end)."""
    at = 0
    while at < len(raw):
        kind, boot, sequence, n = struct.unpack_from("<3xcIIH", raw, at)
        end = at + HEAD + n + TAIL
        assert raw[at : at + 3] == b"CLR"
        assert google_crc32c.value(raw[at : end - TAIL]) == int.from_bytes(
            raw[end - TAIL : end], "little"
        )
        yield kind, boot, sequence, raw[at + HEAD : end - TAIL], end
        at = end


def filled(firmware, tmp_path, *, count, **options):
    """Run a device that nobody answers until it has kept ``count`` messages; its ring's file."""
    with Posts() as nobody:
        nobody.silent = True
        tally = firmware.tally(
            firmware.start(
                "module", DEVICE, nobody.port, count=count, batch=2, interval_ms=1, linger_ms=0,
                **files(tmp_path), **options,
            )
        )  # fmt: skip
    assert tally["waiting"] == count
    return tmp_path / "ring"


def test_a_ring_cut_at_any_byte_holds_every_entry_before_the_cut(firmware, tmp_path):
    ring = filled(firmware, tmp_path, count=6)
    whole = ring.read_bytes()
    kept = list(entries(whole))
    assert [(kind, seq) for kind, _, seq, _, _ in kept] == [(b"K", n) for n in range(1, 7)]
    cut = tmp_path / "cut"
    ends = [0, *(end for *_, end in kept)]
    places = sorted(
        {*random.Random(1).sample(range(len(whole)), 40), *ends, *(e + 1 for e in ends[:-1])}
    )
    for at in places:
        cut.write_bytes(whole[:at])
        torn, damaged, waiting = held(firmware, cut)
        assert waiting == [(1, n + 1) for n in range(sum(end <= at for end in ends[1:]))]
        assert (torn, damaged) == (at not in ends, 0)


def test_a_spoilt_entry_is_found_and_costs_only_itself(firmware, tmp_path):
    ring = filled(firmware, tmp_path, count=5)
    whole = ring.read_bytes()
    begin, end = (list(entries(whole))[i][4] for i in (1, 2))
    for at in random.Random(2).sample(range(begin, end), 20):
        broken = bytearray(whole)
        broken[at] ^= 1 << (at % 8)
        (tmp_path / "broken").write_bytes(broken)
        assert held(firmware, tmp_path / "broken") == (0, 1, [(1, 1), (1, 2), (1, 4), (1, 5)])


def test_after_a_power_cut_what_was_kept_is_sent_first_as_the_same_messages(firmware, tmp_path):
    ring = filled(firmware, tmp_path, count=4)
    before = {(boot, seq): payload for _, boot, seq, payload, _ in entries(ring.read_bytes())}
    with ring.open("ab") as torn:
        torn.write(b"CLRK\x01\x00\x00\x00\x05")  # the cut came while the fifth was written
    with Posts() as server:
        tally = firmware.tally(
            firmware.start(
                "module", DEVICE, server.port, count=2, batch=2, interval_ms=1, **files(tmp_path)
            )
        )
    assert list(server.payloads) == [*((1, n) for n in range(1, 5)), (2, 1), (2, 2)]
    assert {key: server.payloads[key] for key in before} == before
    assert (tally["torn"], tally["acknowledged"], tally["waiting"]) == (1, 6, 0)
    assert held(firmware, ring) == (0, 0, [])


def test_a_ring_s_file_stays_small_however_much_goes_through_it(firmware, tmp_path):
    with Posts() as server:
        firmware.tally(
            firmware.start(
                "module", DEVICE, server.port, count=900, batch=8, interval_ms=1, factor=20,
                **files(tmp_path),
            )
        )  # fmt: skip
    assert len(server.payloads) == 900
    assert sum(len(p) for p in server.payloads.values()) > 150_000
    assert (tmp_path / "ring").stat().st_size < 140_000


def test_a_reboot_by_command_loses_memory_and_keeps_the_ring(firmware, tmp_path):
    with Posts() as server:
        server.silent = True
        device = Commanded(
            firmware, "module", DEVICE, server.port, count=30, batch=1, interval_ms=10,
            ack_timeout_ms=50, **files(tmp_path),
        )  # fmt: skip
        until(lambda: json.loads(device.ask("status"))["waiting"] >= 5, "five kept")
        assert device.ask("reboot") == "ok"
        server.silent = False
        told = json.loads(device.end())
    assert told["dropped"] == 0
    boots = [boot for boot, _ in server.payloads]
    assert len(boots) == 30
    assert boots == sorted(boots)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_kills_at_random_moments_lose_nothing_said_kept_and_send_nothing_twice_as_another(
    firmware, tmp_path, seed
):
    draw = random.Random(seed)
    said: set[tuple[int, int]] = set()
    options = {"count": 100_000, "batch": 2, "interval_ms": 2, "say": True, "ack_timeout_ms": 100}
    with Posts() as server:
        for turn in range(8):
            server.silent = turn % 3 == 1  # out of reach for a whole life
            process = firmware.start("module", DEVICE, server.port, **options, **files(tmp_path))
            time.sleep(draw.uniform(0.05, 0.5))
            process.kill()
            out, _ = process.communicate(timeout=10)
            whole = out[: out.rfind("\n") + 1].splitlines()
            said |= {tuple(map(int, line.split()[1:])) for line in whole}
        server.silent = False
        tally = firmware.tally(
            firmware.start(
                "module", DEVICE, server.port, **(options | {"count": 1, "say": True}),
                **files(tmp_path),
            ), timeout_s=60,
        )  # fmt: skip
    assert tally["waiting"] == tally["dropped"] == 0
    assert len(said) > 50
    assert {boot for boot, _ in said} >= set(range(2, 8))
    assert said <= set(server.payloads)
    samples = [
        (int(t), v)
        for f in map(compact.decode, server.payloads.values())
        for t, v in zip(f.event_ns[f.port == 2], f.value[f.port == 2], strict=True)
    ]
    assert len(samples) == len(set(samples))  # no sample under two sequences
