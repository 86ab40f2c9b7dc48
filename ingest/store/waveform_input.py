"""Samples of waveforms as points of a bucket of their own, where the site wants them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import orjson

from ingest.journal import Cursor
from ingest.store.follow import Follower
from ingest.store.lines import Lines
from ingest.store.schema import WAVEFORM, tags
from rules.readings import Block

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from ingest.store.sending import Sender
    from ingest.store.site_at import SiteAt

ROWS: Final = 20_000  # of the journal, read at a time


class WaveformInput:
    """Reads the journal for its Blocks; ``newest_ns`` is the newest begin of one written."""

    def __init__(self, data: Path, site: SiteAt) -> None:
        self._path = data / "cursors" / "store-waveforms"
        self._site = site
        self.newest_ns = 0
        self.follower = Follower(
            data / "journal",
            start=Cursor.load(self._path).offset,
            wake=data / "run" / "journal.sock",
        )

    def close(self) -> None:
        """Give the files back."""
        self.follower.close()

    def pump(self, sender: Sender, wait_s: float) -> None:
        """Write what is new, or wait for more.

        Raises
        ------
        Stopped
            Before the server had answered for all; the cursor stands where it was.
        """
        if not self.follower.wait(wait_s):
            return
        first = self.follower.offset
        for record in self.follower.read(max_rows=ROWS):
            if isinstance(record.body, Block):
                for lines in self._lines(record.body):
                    sender.send(lines, f"journal {first}..{self.follower.offset - 1}")
                self.newest_ns = max(self.newest_ns, record.body.judged_ns)
        Cursor(self.follower.offset).save_if_room(self._path)

    def _lines(self, block: Block) -> Iterator[Lines]:
        """Yield the lines of each channel; samples without a finite value are left out."""
        names = self._site.registry.channels.id
        steps = np.round(np.arange(block.samples.shape[1]) * (1e9 / block.rate_hz))
        times = block.judged_ns + steps.astype(np.int64)
        for channel, samples in zip(block.channel.tolist(), block.samples, strict=True):
            finite = np.isfinite(samples)
            count = int(finite.sum())
            if 0 <= channel < len(names) and count:
                tagged = self._site.tags(names[channel]) | {"channel": names[channel]}
                head = f"{WAVEFORM}{tags(tagged)} value=".encode()
                yield Lines(_joined(head, samples[finite], times[finite]), count)


def _joined(head: bytes, values: NDArray[np.float32], times: NDArray[np.int64]) -> bytes:
    """Return ``head value time`` for each sample; the shortest text that reads back as it."""
    pieces: list[bytes] = [head] * (4 * len(values))
    for at, column in ((1, values), (3, times)):
        text = orjson.dumps(np.ascontiguousarray(column), option=orjson.OPT_SERIALIZE_NUMPY)
        pieces[at::4] = text[1:-1].split(b",")
    pieces[2::4] = [b" "] * len(values)
    pieces[4::4] = [b"\n" + head] * (len(values) - 1)
    return b"".join(pieces) + b"\n"
