"""Codecs by name, and which codec reads a frame: by its topic, path and content format."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ingest.codecs import compact, compact_bulk, json_bulk, json_keys, json_mapping, senml
from ingest.codecs.json_mapping import LIFELINE, MappedJson, Mapping
from ingest.frame import Decoded, Frame, Undecodable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Codec = Callable[[Frame], Decoded]

__all__ = [
    "COAP_FORMATS",
    "CODECS",
    "MQTT_FILTER",
    "PULLED",
    "TOPIC_FORMS",
    "Routing",
    "compact",
    "compact_bulk",
    "json_bulk",
    "json_keys",
    "json_mapping",
    "own_topic",
    "senml",
]

MQTT_FILTER = "lifeline/v1/+/+"
PULLED = "pull/"
"""Paths of what was pulled begin so; who publishes under it at a broker is not listened to."""

_LIFELINE_JSON = MappedJson(LIFELINE)

CODECS: dict[str, Codec] = {
    "compact": lambda frame: compact.decode(frame.payload),
    "senml": lambda frame: senml.decode(frame.payload, receive_ns=frame.receive_ns),
    "json": lambda frame: _LIFELINE_JSON.decode(frame.payload, receive_ns=frame.receive_ns),
}

COAP_FORMATS = {42: "compact", 110: "senml", 50: "json"}

_TOPIC = re.compile(r"lifeline/v1/(?P<device>[^/]+)/(?P<form>up|senml|json)")
TOPIC_FORMS = {"up": "compact", "senml": "senml", "json": "json"}
_COAP_PATH = re.compile(r"up/(?P<device>[^/]+)")


def own_topic(path: str) -> tuple[str, str] | None:
    """Return device and codec of an MQTT topic of ours, None of any other topic."""
    found = _TOPIC.fullmatch(path)
    return (found["device"], TOPIC_FORMS[found["form"]]) if found else None


class Routing:
    """Finds device and codec of a frame; ``mappings`` add other vendors' topics."""

    def __init__(self, mappings: Sequence[Mapping] = ()) -> None:
        self._mapped = [(m.topic_pattern(), _reader(m)) for m in mappings]
        asked = (m.subscription for m in mappings)
        self.subscriptions = tuple(each for each in asked if not each.startswith(PULLED))

    def of(self, frame: Frame) -> tuple[str, Codec]:
        """Return the device the path names ("" where only the payload does) and the codec.

        Raises
        ------
        Undecodable
            No codec reads this path or content format.
        """
        if frame.transport == "coap":
            return self._of_coap(frame)
        if frame.transport == "datagram":
            raise Undecodable("coap", f"{len(frame.payload)} bytes that are no CoAP message")
        if frame.transport == "mqtt" and frame.path.startswith(PULLED):
            raise Undecodable("topic", f"{frame.path[:120]!r} is for what is pulled")
        found = _TOPIC.fullmatch(frame.path)
        if found:
            return found["device"], CODECS[TOPIC_FORMS[found["form"]]]
        for pattern, codec in self._mapped:
            mapped = pattern.fullmatch(frame.path)
            if mapped:
                return mapped.groupdict().get("device") or "", codec
        raise Undecodable("topic", f"no codec reads {frame.path[:120]!r}")

    def _of_coap(self, frame: Frame) -> tuple[str, Codec]:
        found = _COAP_PATH.fullmatch(frame.path)
        if not found:
            raise Undecodable("topic", f"POST to up/<device id>, not {frame.path[:120]!r}")
        content_format = frame.content_format
        if content_format is None:  # modules that send none send the compact frame
            content_format = 42
        if content_format not in COAP_FORMATS:
            known = ", ".join(f"{n} {name}" for n, name in COAP_FORMATS.items())
            raise Undecodable("content_format", f"{content_format}: wanted {known}")
        return found["device"], CODECS[COAP_FORMATS[content_format]]


def _reader(mapping: Mapping) -> Codec:
    mapped = MappedJson(mapping)
    return lambda frame: mapped.decode(frame.payload, receive_ns=frame.receive_ns)
