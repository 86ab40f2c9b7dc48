"""The C program's golden vectors are FRAME.md, and our codec reads them as it should."""

import json
import subprocess
from pathlib import Path

import google_crc32c
import numpy as np
import pytest

from ingest.codecs import compact
from ingest.frame import Undecodable

FIRMWARE = Path(__file__).parents[2] / "gateway-firmware-sim"
ALL = sorted(FIRMWARE.glob("vectors/*.json"))
MEANT = [p for p in ALL if "refused" not in p.read_text()]
REFUSED = [p for p in ALL if p not in MEANT]


def payload(path: Path) -> bytes:
    return bytes.fromhex(path.with_suffix(".hex").read_text())


def numbers(values: list[object]) -> list[float]:
    return [float("nan") if v is None else float(v) for v in values]


def test_there_are_vectors_of_every_encoding_and_of_every_refusal():
    assert len(MEANT) >= 10
    blocks = [b for p in MEANT for b in json.loads(p.read_text())["blocks"]]
    assert {b["encoding"] for b in blocks} == {1, 2, 3, 4}
    assert {b["status"] for b in blocks} >= {0, 1, 2, 3}
    reasons = {json.loads(p.read_text())["refused"] for p in REFUSED}
    listed = (FIRMWARE / "FRAME.md").read_text()
    assert all(f"`{reason}`" in listed for reason in reasons)
    assert len(reasons) >= 9


def test_the_committed_vectors_are_what_the_program_writes(tmp_path):
    made = subprocess.run(
        ["make", "-C", FIRMWARE, "check", f"BUILD={tmp_path}"], capture_output=True, check=False
    )
    assert made.returncode == 0, made.stdout.decode() + made.stderr.decode()


@pytest.mark.parametrize("path", MEANT, ids=lambda p: p.stem)
def test_the_checksum_of_a_vector_is_crc32c(path):
    frame = payload(path)
    assert google_crc32c.value(frame[:-4]) == int.from_bytes(frame[-4:], "little")


@pytest.mark.parametrize("path", MEANT, ids=lambda p: p.stem)
def test_our_codec_reads_a_vector_as_it_is_meant(path):
    meant, decoded = json.loads(path.read_text()), compact.decode(payload(path))
    assert (decoded.device, decoded.boot, decoded.sequence) == (
        meant["device"],
        meant["boot"],
        meant["sequence"],
    )
    assert decoded.simulation == bool(meant["flags"] & 1)
    assert decoded.clock_unset == bool(meant["flags"] & 2)
    scalars = [b for b in meant["blocks"] if b["encoding"] != 4]
    waves = [b for b in meant["blocks"] if b["encoding"] == 4]
    n = [len(b["values"]) for b in scalars]
    assert decoded.port.tolist() == np.repeat([b["port"] for b in scalars], n).tolist()
    assert decoded.status.tolist() == np.repeat([b["status"] for b in scalars], n).tolist()
    assert decoded.event_ns.tolist() == [t * 10**6 for b in scalars for t in b["times_ms"]]
    np.testing.assert_array_equal(decoded.value, numbers([v for b in scalars for v in b["values"]]))
    assert len(decoded.blocks) == len(waves)
    for block, wave in zip(decoded.blocks, waves, strict=True):
        assert block.start_ns == wave["start_ms"] * 10**6
        assert block.period_ns == wave["period_us"] * 1000
        np.testing.assert_allclose(block.samples, numbers(wave["values"]), rtol=1e-6)


@pytest.mark.parametrize("path", REFUSED, ids=lambda p: p.stem)
def test_our_codec_refuses_a_wrong_vector_for_the_reason_given(path):
    with pytest.raises(Undecodable) as refusal:
        compact.decode(payload(path))
    assert refusal.value.reason == json.loads(path.read_text())["refused"]
