"""Scenarios with ground truth: what happens in a city, what must be alarmed, what must not."""
