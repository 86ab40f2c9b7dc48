"""Our encoder writes the bytes the C program writes; its vectors also pass the whole admission."""

import json
from pathlib import Path

import pytest

from ingest.admission import Admission
from ingest.codecs import compact
from ingest.codecs.compact import FLOAT32, FLOAT64, Series
from tests.intake_site import mqtt, site

VECTORS = Path(__file__).parents[2] / "gateway-firmware-sim" / "vectors"
ALL = sorted(VECTORS.glob("*.json"))


def meant(path):
    return json.loads(path.read_text())


def payload(path):
    return bytes.fromhex(path.with_suffix(".hex").read_text())


def of_floats(path):
    found = meant(path)
    kinds = {b["encoding"] for b in found.get("blocks", [])}
    return "refused" not in found and kinds <= {FLOAT32, FLOAT64}


def test_the_vectors_are_there():
    assert ALL, f"no vectors in {VECTORS}: run `make vectors` there"
    assert sum(of_floats(path) for path in ALL) >= 3


@pytest.mark.parametrize("path", [p for p in ALL if of_floats(p)], ids=lambda p: p.stem)
def test_our_encoder_writes_the_same_bytes(path):
    said = meant(path)
    base_ms = said["time_base_ms"]
    blocks = [
        Series(
            port=b["port"],
            encoding=b["encoding"],
            status=b["status"],
            offsets_ms=[t - base_ms for t in b["times_ms"]],
            values=[float("nan") if v is None else float(v) for v in b["values"]],
        )
        for b in said["blocks"]
    ]
    frame = compact.encode(
        device=said["device"],
        boot=said["boot"],
        sequence=said["sequence"],
        time_base_ms=base_ms,
        blocks=blocks,
        simulation=bool(said["flags"] & compact.SIMULATION),
        clock_unset=bool(said["flags"] & compact.CLOCK_UNSET),
        stored=bool(said["flags"] & compact.STORED),
    )
    assert frame.hex() == payload(path).hex()


@pytest.mark.parametrize("path", ALL, ids=lambda p: p.stem)
def test_every_vector_is_admitted_or_refused_with_its_reason(path):
    said = meant(path)
    device = said.get("device", "410100-gas-gw-000001")
    registry = site(simulation=True)
    admitted = Admission(registry).admit([mqtt(payload(path), device=device)])
    stranger = ["unknown_device"] if device not in registry.device_row else []
    whole = [q.reason for q in admitted.quarantined if q.whole]
    assert whole == ([said["refused"]] if "refused" in said else stranger)
    assert bool(len(admitted.readings)) == (not whole)
