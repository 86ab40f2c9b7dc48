"""Frames out of quarantine: whole or only the part that was refused, each once."""

import pytest

from ingest.admission import Admission
from ingest.codecs.compact import Series, encode
from ingest.frame import Frame
from ingest.journal import JournalWriter
from ingest.quarantine import Quarantined, quarantine_record
from ingest.refeed import entries, fed
from rules.registry_file import registry_of
from tests.torture import GATEWAYS, registry_text

REGISTRY = registry_of({"all.yaml": registry_text()})
HELD = "410100-gas-mh-000000/ch4-01/vol"
MISSING = "410100-gas-mh-000000/ch4-02/vol"
NOW_NS = 1_790_000_000 * 10**9


def frame(sequence: int, device: str = GATEWAYS[0]) -> Frame:
    """A message with a value on each of two ports."""
    blocks = [Series(port=p, offsets_ms=[0], values=[float(p)]) for p in (1, 2)]
    payload = encode(
        device=device, boot=1, sequence=sequence, time_base_ms=NOW_NS // 10**6, blocks=blocks,
        simulation=True,
    )  # fmt: skip
    return Frame(payload, "mqtt", f"lifeline/v1/{device}/up", NOW_NS)


@pytest.fixture
def folder(tmp_path):
    """Record 0: a frame refused in two parts; record 1: a whole one, and one of a stranger."""
    groups = [
        [Quarantined(r, frame(1), "port 2", whole=False) for r in ("unknown_channel", "unit")],
        [Quarantined("unknown_device", frame(2)), Quarantined("unknown_device", frame(3, "x"))],
    ]
    with JournalWriter(tmp_path / "quarantine") as journal:
        for group in groups:
            journal.append(quarantine_record(group))
            journal.commit()
    return tmp_path / "quarantine"


def feed(folder, *names, before=frozenset(), **more):
    asked = {"frames": list(names), **more}
    names, admitted = fed(asked, folder, Admission(REGISTRY), before=before, receive_ns=NOW_NS + 9)
    rows = admitted.readings
    ids = [REGISTRY.channels.id[n] for n in rows.channel.tolist()]
    return names, list(zip(ids, rows.sequence.tolist(), rows.receive_ns.tolist(), strict=True))


def test_of_a_frame_refused_in_part_only_that_part_is_fed_and_once(folder):
    assert [e.frame_id for e in entries(folder)] == ["0.0", "0.1", "1.0", "1.1"]
    names, rows = feed(folder, "0.0", "0.1", without={"0.0": [HELD], "0.1": [HELD]})
    assert names == ["0.0", "0.1"]
    assert rows == [(MISSING, 1, NOW_NS + 9)]


def test_a_whole_frame_keeps_its_number_and_gets_the_journals_time(folder):
    _, rows = feed(folder, "1.0")
    assert rows == [(HELD, 2, NOW_NS + 9), (MISSING, 2, NOW_NS + 9)]


def test_what_was_fed_before_is_left_out(folder):
    assert feed(folder, "0.0", "1.0", "1.0", before={"0.0"})[0] == ["1.0"]
    with pytest.raises(ValueError, match="all of these were fed already"):
        feed(folder, "1.0", before={"1.0"})


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["1.1"], "1.1: still refused: "),
        (["7.0"], "holds no frame '7.0'"),
        (["1.9"], "holds no frame '1.9'"),
        (["x"], "holds no frame 'x'"),
        ([f"{n}.0" for n in range(2001)], "2001 frames at once"),
    ],
)
def test_what_cannot_be_fed_is_refused_by_name(folder, names, said):
    with pytest.raises(ValueError, match=said):
        feed(folder, *names)
