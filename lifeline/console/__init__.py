"""What the operator sees and touches: one page and its API, on loopback."""
