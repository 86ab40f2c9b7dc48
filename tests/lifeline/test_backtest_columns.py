"""An archive read as columns gives the engine's events of the records it was made from."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from ingest.journal import JournalReader
from ingest.store import archive
from ingest.store.past import Span, archived, of_records
from rules.engine import Engine
from rules.engine.taking import Tally
from rules.events import encode
from rules.readings import Block, Control
from tests import store_data
from tests.journals import case
from tests.rules.test_any_cut import STEPS


def told(drawn, pieces) -> tuple[list[bytes], np.ndarray]:
    engine = Engine(drawn.plan, drawn.registry)
    engine.tally = Tally()
    events = []
    for piece in pieces:
        if piece.columns is not None:
            events += engine.fold_columns(piece.columns, piece.blocks)
        else:
            events += engine.fold([piece.control])
    return [encode(event) for event in events], engine.tally.verdicts


@pytest.mark.parametrize("seed", range(12))
def test_random_journals_with_waveforms_commands_and_late_rows(tmp_path, seed):
    """Byte-equal events, whatever was compacted, from archive, journal and one fold of all."""
    random = Random(seed)
    bodies: list = []
    while not {Block, Control} <= {type(body) for body in bodies}:
        drawn = case(random, steps=STEPS, orderly=bool(seed % 2))
        bodies = [record.body for record in drawn.records]
    end = store_data.write_journal(tmp_path, bodies)
    with JournalReader(tmp_path / "journal") as reader:
        records = reader.read(until=end, max_rows=10**7)
    assert [type(r.body) for r in records] == [type(b) for b in bodies]
    limits = archive.ArchiveLimits(fan_in=random.choice((2, 3, 50)))
    writer = archive.Archive(tmp_path / "archive", channels=1, limits=limits)
    cut = 0
    while cut < len(records):
        stop = cut + random.randint(1, 40)
        writer.add(records[cut:stop])
        writer.roll()
        cut = stop
    engine = Engine(drawn.plan, drawn.registry)
    whole = [encode(event) for event in engine.fold(records)]
    from_archive, counted = told(drawn, archived(tmp_path / "archive", Span()))
    assert from_archive == whole
    from_journal, again = told(drawn, of_records(records, Span()))
    assert from_journal == whole
    np.testing.assert_array_equal(counted, again)
