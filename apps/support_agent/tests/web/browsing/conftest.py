"""The rig of `tests/browser`, with customers besides the people of the staff."""

from collections.abc import Callable
from typing import Any

import pytest

from apps.support_agent.tests.web.place import Place
from support_agent.web.identity import COOKIE
from tests.browser.conftest import (
    Visit,
    Visitor,
    browser,
    picture,
    pytest_runtest_makereport,
    visitor,
)

__all__ = ["browser", "picture", "pytest_runtest_makereport", "visitor"]

Customer = Callable[..., Visitor]


@pytest.fixture
def customer(place: Place, visitor: Visit) -> Customer:
    """`customer("Amina Diallo")`: Amina at a browser of her own, signed in."""

    def visit(name: str, **options: Any) -> Visitor:
        came = visitor(place.address, **options)
        value = str(place.customer_id(name))
        came.context.add_cookies(
            [{"name": COOKIE, "value": value, "domain": "127.0.0.1", "path": "/chat"}]
        )
        return came

    return visit


@pytest.fixture
def staff(place: Place, visitor: Visit) -> Customer:
    """`staff("lena")`: Lena at a browser of her own."""

    def visit(person: str, **options: Any) -> Visitor:
        return visitor(place.address, person, **options)

    return visit
