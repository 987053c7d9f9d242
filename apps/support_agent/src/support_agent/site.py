"""The whole support agent: every workflow, and the pages for customers and supervisors.

`adjourn run support_agent.site:app` serves it all in one process: the customers' chat below /chat,
the talks that people take over below /talks, the supervisors' dashboard at /, and Microsoft Teams
at /api/messages where SUPPORT_TEAMS_... settings ask for it.
"""

import os
from collections.abc import Callable
from typing import Any

from adjourn import Authenticator, Client
from support_agent import case, conversation, handover
from support_agent.agent.redact import redact
from support_agent.app import app
from support_agent.channels.desk import DESKS, Desk, keep_cards
from support_agent.channels.teams.settings import is_wanted
from support_agent.live import HUB
from support_agent.public_url import public_url_of
from support_agent.speaking import MODEL
from support_agent.tenant import tenant
from support_agent.web import create_chat, create_talks
from support_agent.web.door import Door, settings_of

__all__ = ["app", "case", "conversation", "handover"]

HOST = "127.0.0.1"
"""Where `adjourn run` listens while nobody signs in: it refuses any other address then."""


def _at_desk(make: Callable[[Desk], Any]) -> Callable[[Client, Authenticator], Any]:
    """Pages of the one desk that this process has, made with the first of them."""

    def made(client: Client, people: Authenticator) -> Any:
        if not DESKS or DESKS[-1].client is not client:
            DESKS[:] = [Desk(client, people, public_url_of(people, os.environ))]
        return make(DESKS[-1])

    return made


def _chat(desk: Desk) -> Any:
    door = None if desk.people.local else Door(settings_of(os.environ, desk.public_url))
    return create_chat(desk.client, HUB, MODEL.label, desk.people, door)


app.mount("/chat", _at_desk(_chat))
app.mount(
    "/talks",
    _at_desk(lambda desk: create_talks(desk.client, HUB, desk.people, tenant())),
    place="Conversations",
)

if is_wanted(os.environ):
    from support_agent.channels.teams.serve import open_teams  # only who asks for it needs the SDK

    app.mount("/api/messages", _at_desk(open_teams(os.environ, HOST)))
    app.watch_approvals(keep_cards)

app.hide_in_logs(redact)
