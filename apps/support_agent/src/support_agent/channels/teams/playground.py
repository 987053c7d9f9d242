"""Teams on this machine without an account: what the demonstration and Microsoft's Agents
Playground must agree on. Needs nothing of the SDK."""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import msgspec

from adjourn import DEMO_PEOPLE, Person
from support_agent.channels.teams.missing import TeamsNotInstalled

PORT = 3978
"""Where the Playground looks for a bot unless it is told otherwise."""
TENANT = "11111111-2222-3333-4444-555555555555"
CUSTOMER = ("amina", "Amina Diallo")
SUPERVISOR = ("lena", "Lena Fischer")
SUPERVISORS = ("lena", "omar", "grace")
HOW_TO_ADD = (
    "pip install 'support-agent[teams]', then make demo CHANNEL=teams; docs/teams.md leads on."
    if find_spec("microsoft_teams") is None
    else "make demo CHANNEL=teams; docs/teams.md leads on."
)


@dataclass(frozen=True, slots=True)
class Playground:
    """What a server needs for it, and what its user is told."""

    environment: dict[str, str]
    people: Path
    how: str


def prepare(folder: Path, port: int) -> Playground:
    """Write the people, who have accounts there, and a folder for each of the two windows.

    Raises: TeamsNotInstalled.
    """
    if find_spec("microsoft_teams") is None:
        raise TeamsNotInstalled
    people = folder / "people.json"
    people.write_bytes(msgspec.json.format(msgspec.json.encode([*map(_known, DEMO_PEOPLE)])))
    home = folder / "playground"
    for window, (id, name) in {"customer": CUSTOMER, "supervisor": SUPERVISOR}.items():
        place = home / window
        place.mkdir(parents=True, exist_ok=True)
        (place / ".m365agentsplayground.yml").write_text(_window(id, name), encoding="utf-8")
    how = (
        f"Two windows of the Agents Playground stand ready in {home}: in each folder run "
        f"agentsplayground -e http://127.0.0.1:{port}/api/messages -c msteams -p 56150 (the other: "
        "56151). Let the supervisor say hello first; docs/teams.md says the rest. Nothing is "
        "signed in this mode: whoever reaches this address can be anybody."
    )
    return Playground({"SUPPORT_TEAMS_LOCAL": "1"}, people, how)


def _known(person: Person) -> Person:
    """With the account that they have in the Playground, where they decide."""
    accounts = {"teams": f"{TENANT}/{person.id}"} if person.id in SUPERVISORS else {}
    return msgspec.structs.replace(person, accounts=accounts)


def _window(id: str, name: str) -> str:
    return (
        f"tenantId: {TENANT}\n"
        "bot: { id: support-bot, name: Support }\n"
        f"currentUser: {{ id: {id}, name: {name} }}\n"
        f"personalChat: {{ id: chat-of-{id} }}\n"
    )
