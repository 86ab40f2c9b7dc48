"""``python -m lifeline``: the same as the command ``lifeline``."""

from lifeline.cli import main

if __name__ == "__main__":
    main()
