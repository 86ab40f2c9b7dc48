"""The functional core: rules, engine, registry, alarm states. No clock, no socket, no file."""
