"""Rules tried on the past: the same engine over what was recorded, and what it would have said."""
