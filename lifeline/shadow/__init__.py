"""Rules on trial beside the live ones: how often each would have alarmed, and where they differ."""
