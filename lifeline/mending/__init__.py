"""Mending history: corrections of what was recorded, and what it would have meant."""
