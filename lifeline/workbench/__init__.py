"""Work on rules before they run: their tests, pictures of what failed, starters to begin with."""
