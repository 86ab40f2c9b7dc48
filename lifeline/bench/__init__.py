"""Benchmarks: what is promised about speed, measured beside the obvious alternative."""
