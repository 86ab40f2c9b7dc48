"""Copies of a running city that another machine goes on from: ``lifeline backup``, ``restore``."""
