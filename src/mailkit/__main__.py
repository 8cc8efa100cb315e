"""``python -m mailkit`` is the command ``mailkit``."""

from __future__ import annotations

import sys

from mailkit.cli import main

if __name__ == "__main__":
    sys.exit(main())
