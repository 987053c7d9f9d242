"""The rig of `tests/browser`, and a house where people sign in."""

from apps.support_agent.tests.door.conftest import house
from tests.browser.conftest import browser, picture, pytest_runtest_makereport, visitor

__all__ = ["browser", "house", "picture", "pytest_runtest_makereport", "visitor"]
