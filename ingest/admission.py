"""Frames in, Readings and Blocks out: who speaks, which channel, which unit, when, how good.

Nothing is judged here beyond what one message says of itself: duplicates and late rows are the
journal's readers' business (rules/judge.py). Beyond a range is suspect, never failed: the worst
leak is over the range. Only a device's own fault codes make a row unusable.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import structlog

from ingest import in_bulk, metrics
from ingest.channels import ChannelTable
from ingest.codecs import Routing, json_keys, own_topic
from ingest.frame import Decoded, Frame, Undecodable
from ingest.in_bulk import Sender
from ingest.quarantine import Quarantined
from ingest.rows import BulkRows, Message, Rows, listed
from ingest.waveforms import blocks_of
from rules.readings import HEARD_ONLY, NO_SEQUENCE, Block, Readings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from ingest.codecs.json_mapping import Mapping
    from ingest.in_bulk import Opened
    from rules.registry import Registry

log = structlog.get_logger("ingest.admission")

MAX_PAYLOAD_BYTES = 1 << 20
_BULK_BYTES = 1 << 10  # less JSON is opened sooner one by one
_BULK_BLOCKS = 16  # and so are fewer blocks of a compact layout
_REMEMBERED_PATHS = 1 << 20


@dataclass(frozen=True, slots=True)
class Admitted:
    """What a group of frames gave. ``blocks`` carry the row before which each stands."""

    readings: Readings
    blocks: tuple[tuple[int, Block], ...]
    quarantined: tuple[Quarantined, ...]
    counters: Counter[str] = field(default_factory=Counter)
    unread: tuple[Frame, ...] = ()
    """Given up in overload, and of no use to anybody later."""

    @classmethod
    def joined(cls, parts: Sequence[Admitted]) -> Admitted:
        """Return what several groups gave, one after another."""
        starts = np.cumsum([0, *(len(part.readings) for part in parts)]).tolist()
        return cls(
            Readings.concatenate(part.readings for part in parts),
            tuple(
                (start + row, block)
                for start, part in zip(starts, parts, strict=False)
                for row, block in part.blocks
            ),
            tuple(refused for part in parts for refused in part.quarantined),
            sum((part.counters for part in parts), Counter()),
            tuple(frame for part in parts for frame in part.unread),
        )

    def bodies(self) -> Iterator[Readings | Block]:
        """Yield journal bodies in order of receipt: a message's rows, then its waveforms."""
        done = 0
        for row, block in self.blocks:
            if row > done:
                yield self.readings.take(slice(done, row))
                done = row
            yield block
        if done < len(self.readings):
            yield self.readings.take(slice(done, None))


class Admission:
    """Admits frames of one registry; ``mappings`` are other vendors' JSON."""

    def __init__(self, registry: Registry, *, mappings: Sequence[Mapping] = ()) -> None:
        self.table = ChannelTable(registry)
        self.routing = Routing(mappings)
        self._mappings = mappings
        self.shed_step = 0
        """What is given up: see ingest.overload."""
        self.shed = metrics.SHED.attach(registry.channels.id)
        self._senders: dict[str, Sender] = {}  # by topic of ours

    def with_registry(self, registry: Registry) -> Admission:
        """Return admission by another registry and the same mappings."""
        changed = Admission(registry, mappings=self._mappings)
        changed.shed_step = self.shed_step
        return changed

    def admit(self, frames: Sequence[Frame]) -> Admitted:
        """Return the rows of all frames, messages whole and in order, and what was refused.

        A mistake of ours costs the one frame that shows it: a frame that stopped the process would
        not be acknowledged, come again, and stop it again.
        """
        try:
            return self._admit(frames)
        except Exception as error:
            if len(frames) == 1:
                log.exception("admission failed", path=frames[0].path)
                refused = Quarantined("admission_failed", frames[0], repr(error))
                return Admitted(Readings.empty(), (), (refused,))
            return Admitted.joined([self.admit([frame]) for frame in frames])

    def _admit(self, frames: Sequence[Frame]) -> Admitted:
        refused: list[Quarantined] = []
        counters: Counter[str] = Counter()
        step = self.shed_step
        samples = np.zeros(len(self.table.shed_from), np.int64)
        unread, readings_shed = self._given_up(frames) if step else (np.empty(0, np.int64), samples)
        messages, bulk = self._messages(frames, refused, set(unread.tolist()))
        if not messages:
            return Admitted(Readings.empty(), (), tuple(refused), counters)
        rows = Rows(self.table, messages, bulk)
        rows.refuse_unknown(refused)
        if step:
            readings_shed = readings_shed + rows.shed(step)
        rows.convert(refused)
        readings = rows.readings(counters)
        waves = [n for n, m in enumerate(messages) if m.decoded is not None and m.decoded.blocks]
        ends = np.searchsorted(rows.message_of_rows, waves, side="right").tolist()
        blocks: list[tuple[int, Block]] = []
        for number, end in zip(waves, ends, strict=True):
            message = messages[number]
            found = blocks_of(
                self.table,
                message.frame,
                message.device,
                rows.decoded(number),
                shift_ns=int(rows.times.shift_ns[number]),
                restamp=bool(rows.times.restamped[number]),
                refused=refused,
                step=step,
                shed=samples,
            )
            blocks += [(end, block) for block in found]
        counters["blocks"] = len(blocks)
        if step:
            self.shed["readings"] += readings_shed
            self.shed["samples"] += samples
        given_up = tuple(frames[number] for number in unread.tolist())
        return Admitted(readings, tuple(blocks), tuple(refused), counters, given_up)

    def _given_up(self, frames: Sequence[Frame]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return which frames need not be read, and how many readings of each channel they have.

        Of devices of which nothing is kept at this step; only what can be counted in bulk.
        """
        of = self.table.device_shed_from
        senders = [self._sender(frame) for frame in frames]
        asked = np.array(
            [
                number
                for number, who in enumerate(senders)
                if who and who.codec == "json" and of[who.device] <= self.shed_step
            ],
            np.int64,
        )
        keys = json_keys.read_keys([frames[n].payload for n in asked.tolist()])
        taken = asked[keys.payloads]
        device = np.array([who.device for n in taken.tolist() if (who := senders[n])], np.int32)
        message = np.repeat(np.arange(len(taken)), keys.counts)
        channel = self.table.of_key_words(device[message], keys.key)
        known = np.ones(len(taken), np.bool_)
        known[message[channel == HEARD_ONLY]] = False  # read it, to say what is wrong with it
        counted = channel[known[message]]
        return taken[known], np.bincount(counted, minlength=len(self.table.shed_from))

    def _messages(
        self, frames: Sequence[Frame], refused: list[Quarantined], unread: set[int]
    ) -> tuple[list[Message], BulkRows]:
        """Open all frames, in bulk what can be and one by one the rest; in their order.

        Of those ``unread`` only the sender is taken.
        """
        read = self._in_bulk(frames, unread)
        heads = {
            number: head
            for part in read
            for number, head in zip(part.number.tolist(), part.heads, strict=True)
        }
        messages: list[Message] = []
        place = np.zeros(len(frames), np.int64)
        for number, frame in enumerate(frames):
            head = heads.get(number)
            if head is not None:
                place[number] = len(messages)
                messages.append(Message(frame, *head))
            elif number in unread:
                messages.append(Message(frame, self._senders[frame.path].device, 0, NO_SEQUENCE))
            elif (opened := self._open(frame, refused)) is not None:
                messages.append(opened)
        return messages, BulkRows(
            np.concatenate([place[part.number][part.message] for part in read]),
            *(np.concatenate([part.rows[k] for part in read]) for k in range(4)),
        )

    def _in_bulk(self, frames: Sequence[Frame], unread: set[int]) -> tuple[Opened, Opened]:
        """Return what can be read in bulk: JSON, and compact frames."""
        asked: dict[str, list[int]] = {"json": [], "compact": []}
        senders = [self._sender(frame) for frame in frames]
        for number, sender in enumerate(senders):
            if (
                sender is not None
                and sender.codec in asked
                and number not in unread
                and len(frames[number].payload) <= MAX_PAYLOAD_BYTES
            ):
                asked[sender.codec].append(number)
        json = asked["json"]
        if sum(len(frames[number].payload) for number in json) < _BULK_BYTES:
            json = []
        return (
            in_bulk.read_json(self.table, frames, senders, json),
            in_bulk.read_compact(self.table, frames, senders, asked["compact"], _BULK_BLOCKS),
        )

    def _sender(self, frame: Frame) -> Sender | None:
        """Return who sends to a topic of ours, None for any other."""
        if frame.path in self._senders:
            return self._senders[frame.path] if frame.transport == "mqtt" else None
        if frame.transport != "mqtt":
            return None
        topic = own_topic(frame.path)
        device = None if topic is None else self.table.device(topic[0])
        if topic is None or device is None:
            return None
        if len(self._senders) >= _REMEMBERED_PATHS:
            self._senders.clear()
        self._senders[frame.path] = sender = Sender(device, *topic)
        return sender

    def _open(self, frame: Frame, refused: list[Quarantined]) -> Message | None:
        """Decode and identify; what is refused goes to ``refused``."""
        try:
            if len(frame.payload) > MAX_PAYLOAD_BYTES:
                detail = f"{len(frame.payload)} bytes, at most {MAX_PAYLOAD_BYTES}"
                raise Undecodable("too_long", detail)  # noqa: TRY301 - one way to refuse
            named, codec = self.routing.of(frame)
            decoded = codec(frame)
            device = self._identify(named, decoded)
        except Undecodable as error:
            refused.append(Quarantined(error.reason, frame, error.detail))
            return None
        except Exception as error:  # noqa: BLE001 - a decoder's own mistake costs one frame
            refused.append(Quarantined("decoder_failed", frame, repr(error)))
            return None
        for reason in dict.fromkeys(r.reason for r in decoded.rejects):
            parts = [r.part for r in decoded.rejects if r.reason == reason]
            refused.append(Quarantined(reason, frame, listed(parts), whole=False))
        return Message.of(frame, device, decoded)

    def _identify(self, named: str, decoded: Decoded) -> int:
        if named and decoded.device and named != decoded.device:
            raise Undecodable("device_mismatch", f"{decoded.device!r} on the path of {named!r}")
        identity = named or decoded.device
        device = self.table.device(identity)
        if device is None:
            raise Undecodable("unknown_device", f"{identity!r} is not in the registry")
        if decoded.simulation and not self.table.registry.simulation:
            raise Undecodable("simulation", "a simulated frame at a site that is not a simulation")
        return device
