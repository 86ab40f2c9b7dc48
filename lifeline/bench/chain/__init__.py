"""The whole chain measured: a real broker, our processes as they run, line protocol at the end."""
