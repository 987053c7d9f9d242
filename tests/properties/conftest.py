"""Loads the profile: see `profiles.py`."""

import tests.properties.profiles  # noqa: F401
