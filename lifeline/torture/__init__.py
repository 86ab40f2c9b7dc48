"""Faults on purpose: kill -9, loss of power, a bad disk. What is promised is compared afterwards.

`kills.run_kills` tortures the real processes, `power.run_power_cuts` and `flips.run_flips` the
files they write. docs/reliability.md has the figures.
"""
