"""One site with sign-in in a process of its own, until its input ends: `python -m`, a file."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.safety.doors import DoorSite

if __name__ == "__main__":
    site = DoorSite(Path(sys.argv[1]))
    print(site.port, flush=True)  # noqa: T201  whoever started it reads this
    sys.stdin.read()
    site.stop()
