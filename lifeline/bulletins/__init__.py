"""Official warnings (CAP 1.2): read, kept, journaled, and pulled from where they are published."""
