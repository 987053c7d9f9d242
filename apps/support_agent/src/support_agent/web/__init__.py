"""The pages: the customer's chat, and the supervisors' conversations.

Both are applications that a server mounts at a path below its root, such as /chat and /talks.
"""

from support_agent.web.chat import create_chat
from support_agent.web.talks import create_talks

__all__ = ["create_chat", "create_talks"]
