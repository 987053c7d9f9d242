"""Whose shop this is, in a server that several share."""

import os
from collections.abc import Mapping

VARIABLE = "SUPPORT_TENANT"
EVERY_TENANT = "*"
"""As `adjourn.Actor` has it, of people who look after all tenants."""


def tenant() -> str:
    """The shop's tenant; without one it is that of everybody who has none either."""
    return os.environ.get(VARIABLE, "").strip()


def tags() -> Mapping[str, str]:
    """With what a conversation is started, so that it and all that comes of it, also the questions
    to people, belong to that tenant."""
    return {"tenant": tenant()} if tenant() else {}
