"""Formulas of the lifelines, free of channels, seeds and time: each names its source.

All take and return float64 arrays or numbers. Figures are for simulation, none is a norm.
"""
