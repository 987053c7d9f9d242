"""One key server and one endpoint for the tests of a module; what they recorded is each test's."""

from collections.abc import Iterator

import pytest

from apps.support_agent.tests.teams_in.connector import KeyServer
from apps.support_agent.tests.teams_in.place import Place, Recorder, secured, serving
from support_agent.channels.teams.settings import LOCAL_CLIENT_ID, TeamsSettings


@pytest.fixture(scope="module")
def shared_keys() -> Iterator[KeyServer]:
    with KeyServer().serving() as keys:
        yield keys


@pytest.fixture(scope="module")
def shared_place(shared_keys: KeyServer) -> Iterator[Place]:
    with serving(secured(shared_keys.metadata_url)) as place:
        yield place


@pytest.fixture
def place(shared_place: Place) -> Iterator[Place]:
    """The endpoint with credentials."""
    yield shared_place
    shared_place.inbound.forget()


@pytest.fixture
def inbound(place: Place) -> Recorder:
    """What the endpoint told the application."""
    return place.inbound


@pytest.fixture(scope="module")
def local_settings() -> TeamsSettings:
    return TeamsSettings(client_id=LOCAL_CLIENT_ID, local=True)


@pytest.fixture(scope="module")
def shared_local(local_settings: TeamsSettings) -> Iterator[Place]:
    with serving(local_settings) as place:
        yield place


@pytest.fixture
def local(shared_local: Place) -> Iterator[Place]:
    """The endpoint in local mode."""
    yield shared_local
    shared_local.inbound.forget()
