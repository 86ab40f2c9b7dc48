"""Recordings: made from scenarios, played through the real pipeline, exported and imported."""

from simulators.recording.anonymous import anonymise
from simulators.recording.changed import Cut, cut, spice
from simulators.recording.exchange import export, import_
from simulators.recording.folder import Recording, open_recording, write_recording
from simulators.recording.mapping import Mapped, open_mapping
from simulators.recording.played import Play
from simulators.recording.replayed import Replayed, event_log, replay, shipped_rules
from simulators.recording.simulated import simulate

__all__ = [
    "Cut",
    "Mapped",
    "Play",
    "Recording",
    "Replayed",
    "anonymise",
    "cut",
    "event_log",
    "export",
    "import_",
    "open_mapping",
    "open_recording",
    "replay",
    "shipped_rules",
    "simulate",
    "spice",
    "write_recording",
]
