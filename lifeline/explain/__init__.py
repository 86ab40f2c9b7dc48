"""Why an alarm stood: its evidence, and the engine's decisions again, sample by sample."""
