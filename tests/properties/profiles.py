"""How many examples: few and always the same ones for `make check`, many when asked.

ADJOURN_EXAMPLES=5000 python -m pytest tests/properties     draws fresh ones
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

ASKED = int(os.environ.get("ADJOURN_EXAMPLES", "0"))

settings.register_profile(
    "check",
    max_examples=60,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "asked",
    max_examples=max(ASKED, 1),
    deadline=None,
    database=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("asked" if ASKED else "check")


def examples(number: int) -> settings:
    """So many examples, or as many as were asked for if those are more."""
    return settings(max_examples=max(number, ASKED))
