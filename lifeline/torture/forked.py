"""Imported first by the server our processes are forked from: their wall clock can be set."""

from __future__ import annotations

from lifeline.torture.shifted_time import shift

shift()
