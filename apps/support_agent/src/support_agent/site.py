"""The whole support agent: every workflow, and the pages for customers and supervisors.

`adjourn run support_agent.site:app` serves it all in one process: the customers' chat below /chat,
the talks that people take over below /talks, the supervisors' dashboard at /.
"""

import logging

from support_agent import case, conversation, handover
from support_agent.agent.redact import PersonalData
from support_agent.app import app
from support_agent.live import HUB
from support_agent.speaking import MODEL
from support_agent.web import create_chat, create_talks

__all__ = ["app", "case", "conversation", "handover"]

app.mount("/chat", lambda client, people: create_chat(client, HUB, MODEL.label, people))
app.mount(
    "/talks",
    lambda client, people: create_talks(client, HUB, people),
    place="Conversations",
)

# Whatever this process logs, it logs without its customers' data.
logging.basicConfig()
for handler in logging.getLogger().handlers:
    handler.addFilter(PersonalData())
