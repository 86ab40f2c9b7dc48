"""Waveforms: blocks of samples become rows of feature channels, and scores of block rules."""
