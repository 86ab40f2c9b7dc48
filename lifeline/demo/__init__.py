"""The demo: a whole simulated city on this machine, its story, and the report that it all holds."""

from lifeline.demo.run import DemoOptions, run_demo

__all__ = ["DemoOptions", "run_demo"]
