"""A torn end costs only what was never synced; damage anywhere is found, placed and survived."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.journal import Damage, Frames, JournalReader, JournalWriter, durable_end
from ingest.journal.record import parse_header
from ingest.journal.segments import MARKER_NAME
from rules.readings import Tick
from tests.journal_kit import body, same

EVERYTHING = 1 << 62
COMMITS = [3, 1, 4, 2, 5]  # records a commit
TOTAL = sum(COMMITS)


class Quiet(list):
    """A list too long to be printed with every failing example."""

    def __repr__(self) -> str:
        return "…"


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory):
    """A journal of several commits in one segment, and what stood on disk after each."""
    folder = tmp_path_factory.mktemp("grown")
    states = Quiet()  # (records, bytes of the segment, marker)
    with JournalWriter(folder) as writer:
        k = 0
        for count in COMMITS:
            for _ in range(count):
                writer.append(body(k))
                k += 1
            writer.commit()
            (segment,) = folder.glob("*.seg")
            states.append((k, segment.read_bytes(), (folder / MARKER_NAME).read_bytes()))
    return states


def put(folder: Path, segment: bytes, marker: bytes | None) -> None:
    (folder / f"{0:020d}.seg").write_bytes(segment)
    if marker is not None:
        (folder / MARKER_NAME).write_bytes(marker)


def read_all(folder: Path, until: int = EVERYTHING) -> tuple[dict[int, object], list[Damage]]:
    with JournalReader(folder) as reader:
        found: dict[int, object] = {}
        while records := reader.read(until=until):
            found.update({r.offset: r.body for r in records})
        return found, reader.damage


def intact(found: dict[int, object]) -> bool:
    return all(same(held, body(offset)) for offset, held in found.items())


def lost(damage: list[Damage]) -> list[int]:
    return [offset for d in damage for offset in range(d.first, d.last + 1)]


def places(segment: bytes) -> list[int]:
    """Return where each record of a whole segment begins, and its end."""
    found, at = [], 0
    while (header := parse_header(segment, at)) is not None:
        found.append(at)
        at += header.total
    return [*found, at]


# ---------------------------------------------------------------- a torn end


@settings(max_examples=60, deadline=None)
@given(data=st.data(), synced=st.integers(0, 4))
def test_any_truncation_of_the_last_segment_loses_only_unsynced_records(
    grown: Quiet, data: st.DataObject, synced: int
):
    durable, at_commit, marker = grown[synced]
    whole = grown[-1][1]
    cut = data.draw(st.integers(len(at_commit), len(whole)))
    tail = data.draw(st.sampled_from([b"", b"\0" * 4096, b"\xc1JRN" + b"\x07" * 90]))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        torn = whole[:cut] + tail
        put(folder, torn, marker)  # zeros may complete a record that ends in zeros
        kept = max(i for i, at in enumerate(places(whole)) if torn[:at] == whole[:at])
        assert durable_end(folder) == kept >= durable
        with JournalWriter(folder) as writer:
            assert writer.next_offset == kept
            assert not writer.damage
            writer.append(body(kept) if kept % 3 == 2 else Tick(kept * 10))
        found, damage = read_all(folder)
        assert not damage
        assert sorted(found) == list(range(kept + 1))
        del found[kept]
        assert intact(found)


@settings(max_examples=40, deadline=None)
@given(data=st.data(), more=st.sampled_from([0, 1]))
def test_a_cut_into_synced_records_is_reported_and_their_offsets_are_never_given_again(
    grown: Quiet, data: st.DataObject, more: int
):
    whole, marker = grown[-1][1:]
    cut = data.draw(st.integers(0, len(whole) - 1))
    kept = max(i for i, at in enumerate(places(whole)) if at <= cut)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        put(folder, whole[:cut], marker)
        assert durable_end(folder) == TOTAL
        with JournalReader(folder) as reader:  # also before any writer has looked
            while reader.read(until=TOTAL):
                pass
            assert lost(reader.damage) == list(range(kept, TOTAL))
        with JournalWriter(folder) as writer:
            assert writer.next_offset == TOTAL
            assert lost(list(writer.damage)) == list(range(kept, TOTAL))
            if more:
                writer.append(Tick(10_000))
        found, damage = read_all(folder)
        assert lost(damage) == list(range(kept, TOTAL))
        assert damage[0].at == places(whole)[kept]
        assert found.pop(TOTAL, None) == (Tick(10_000) if more else None)
        assert sorted(found) == list(range(kept))
        assert intact(found)


def test_a_hole_before_records_that_were_never_synced_is_a_torn_end(grown):
    """The disk wrote the second page of a group and not the first: nothing was promised."""
    durable, at_commit, marker = grown[1]
    whole = grown[2][1]
    torn = bytearray(whole)
    torn[len(at_commit) : len(at_commit) + 60] = b"\0" * 60
    with tempfile.TemporaryDirectory() as name:
        put(Path(name), bytes(torn), marker)
        with JournalWriter(Path(name)) as writer:
            assert writer.next_offset == durable
            assert writer.cut_bytes == len(whole) - len(at_commit)
            assert (Path(name) / f"{0:020d}.seg").read_bytes() == at_commit
            assert not writer.damage


def test_a_hole_before_a_record_that_knew_it_synced_is_damage_even_without_the_marker(grown):
    whole = grown[-1][1]
    torn = bytearray(whole)
    at = places(whole)
    torn[at[3] : at[4]] = b"\0" * (at[4] - at[3])  # record 3 is all of the second commit
    with tempfile.TemporaryDirectory() as name:
        put(Path(name), bytes(torn), None)
        with JournalWriter(Path(name)) as writer:
            assert writer.next_offset == TOTAL
            assert lost(list(writer.damage)) == [3]
            assert writer.cut_bytes == 0
        found, damage = read_all(Path(name))
        assert lost(damage) == [3]
        assert sorted(found) == [k for k in range(TOTAL) if k != 3]


# ---------------------------------------------------------------- damage


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed journal of several segments with several records each."""
    folder = tmp_path_factory.mktemp("split")
    with JournalWriter(folder, segment_bytes=3000) as writer:
        for k in range(30):
            writer.append(body(k))
            if k % 2:
                writer.commit()
    assert len(list(folder.glob("*.seg"))) >= 4
    return folder


def owner(folder: Path, segment: Path, at: int) -> int:
    """Return the offset of the record that holds byte ``at`` of a segment."""
    begins = places(segment.read_bytes())
    return int(segment.stem) + max(i for i, b in enumerate(begins) if b <= at)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_flipped_bit_anywhere_is_found_with_its_place_and_the_rest_is_read(
    split: Path, data: st.DataObject
):
    segments = sorted(split.glob("*.seg"))
    which = data.draw(st.integers(0, len(segments) - 1))
    raw = bytearray(segments[which].read_bytes())
    at = data.draw(st.integers(0, len(raw) - 1))
    victim = owner(split, segments[which], at)
    raw[at] ^= 1 << data.draw(st.integers(0, 7))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "copy"
        shutil.copytree(split, folder)
        (folder / segments[which].name).write_bytes(raw)
        found, damage = read_all(folder)
        assert lost(damage) == [victim]
        assert damage[0].path.name == segments[which].name
        begins = places(segments[which].read_bytes())
        assert damage[0].at == begins[victim - int(segments[which].stem)]
        assert str(victim) in str(damage[0])
        assert sorted(found) == [k for k in range(30) if k != victim]
        assert intact(found)
        with JournalWriter(folder) as writer:
            assert writer.next_offset == 30, "a synced offset is never given twice"
            assert lost(list(writer.damage)) in ([], [victim])
        assert lost(read_all(folder)[1]) == [victim]


@pytest.mark.parametrize("start", [4, 5, 6])
def test_a_reader_that_starts_behind_damage_does_not_report_it(split: Path, tmp_path: Path, start):
    folder = tmp_path / "copy"
    shutil.copytree(split, folder)
    first = min(folder.glob("*.seg"))
    raw = bytearray(first.read_bytes())
    raw[places(bytes(raw))[4] + 3] ^= 1
    first.write_bytes(raw)
    with JournalReader(folder, start=start) as reader:
        records = reader.read(until=EVERYTHING)
        assert [r.offset for r in records] == list(range(max(start, 5), 30))
        assert lost(reader.damage) == [4][: start == 4]


def test_a_lost_segment_is_reported_and_passed(split: Path, tmp_path: Path):
    folder = tmp_path / "copy"
    shutil.copytree(split, folder)
    segments = sorted(folder.glob("*.seg"))
    gone = list(range(int(segments[1].stem), int(segments[2].stem)))
    segments[1].unlink()
    found, damage = read_all(folder)
    assert lost(damage) == gone
    assert sorted(found) == sorted(set(range(30)) - set(gone))
    with JournalReader(folder, start=gone[1]) as reader:
        assert reader.read(until=EVERYTHING)[0].offset == gone[-1] + 1
        assert lost(reader.damage) == gone[1:]


def test_bytes_that_vanished_from_the_middle_cost_only_their_records(grown):
    whole = grown[-1][1]
    at = places(whole)
    with tempfile.TemporaryDirectory() as name:
        put(Path(name), whole[: at[5] + 11] + whole[at[8] + 30 :], grown[-1][2])
        found, damage = read_all(Path(name))
    assert lost(damage) == [5, 6, 7, 8]
    assert sorted(found) == [*range(5), *range(9, TOTAL)]
    assert intact(found)


def test_records_carried_as_a_payload_are_never_taken_for_ours(tmp_path: Path):
    """Someone sends us bytes that are whole records with offsets to come; their bearer is hurt."""
    with JournalWriter(tmp_path / "fake") as writer:
        for k in range(51):
            writer.append(Tick(k))
    (fake,) = (tmp_path / "fake").glob("*.seg")
    evil = fake.read_bytes()
    folder = tmp_path / "raw"
    with JournalWriter(folder) as writer:
        for k in range(6):
            payload = evil if k == 2 else b"x"
            for pad in range(9):  # one of them stands on the alignment
                writer.append(Frames.of([(k, None, "mqtt", "p" * pad, "", "", payload)]))
    (segment,) = folder.glob("*.seg")
    raw = bytearray(segment.read_bytes())
    at = places(bytes(raw))
    for victims, byte in itertools.product(([18], [22], [26], range(18, 27)), (0, 70)):
        hurt = bytearray(raw)
        for victim in victims:  # in the header, behind it
            hurt[at[victim] + byte] ^= 0xFF
        segment.write_bytes(hurt)
        with JournalReader(folder) as reader:
            found = [offset for offset, _ in reader.frames(until=54)]
            assert found == [k for k in range(54) if k not in victims]
            assert lost(reader.damage) == list(victims)


def test_a_segment_of_another_journal_is_damage_not_content(split: Path, tmp_path: Path):
    other, mixed = tmp_path / "other", tmp_path / "mixed"
    with JournalWriter(other, segment_bytes=3000) as writer:
        for k in range(30):
            writer.append(body(k))
            if k % 2:
                writer.commit()
    shutil.copytree(split, mixed)
    second = sorted(p.name for p in split.glob("*.seg"))[1]
    assert (other / second).read_bytes() != (split / second).read_bytes()
    shutil.copy(other / second, mixed / second)
    (mixed / MARKER_NAME).unlink()
    found, damage = read_all(mixed)
    third = int(sorted(p.stem for p in split.glob("*.seg"))[2])
    assert lost(damage) == list(range(int(second[:20]), third))
    assert sorted(found) == [k for k in range(30) if k not in lost(damage)]
    assert intact(found)


def test_the_journals_number_outlives_its_marker(tmp_path: Path):
    with JournalWriter(tmp_path, segment_bytes=100) as writer:
        for k in range(3):
            writer.append(Tick(k))
            writer.commit()
    (tmp_path / MARKER_NAME).unlink()
    with JournalWriter(tmp_path) as writer:
        writer.append(Tick(3))
    numbers = {parse_header(p.read_bytes()).journal for p in tmp_path.glob("*.seg")}
    assert len(numbers) == 1
    assert read_all(tmp_path) == ({k: Tick(k) for k in range(4)}, [])
