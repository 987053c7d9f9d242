"""Microsoft Teams, wired: the channel that sends, and the endpoint that is sent to."""

from collections.abc import Callable, Mapping

from starlette.types import ASGIApp

from support_agent.channels.desk import Desk
from support_agent.channels.open import CHANNELS
from support_agent.channels.reception import Reception
from support_agent.channels.teams.channel import TeamsChannel
from support_agent.channels.teams.endpoint import create_endpoint
from support_agent.channels.teams.settings import LOCAL, TeamsSettingsError, settings_of
from support_agent.channels.teams.tokens import ServiceTokens


def open_teams(environ: Mapping[str, str], host: str) -> Callable[[Desk], ASGIApp]:
    """Open the channel, and make what is served at /api/messages by a server on `host`.

    Raises: TeamsSettingsError, whose text says what to set or to remove; and what is returned
    raises it for the local mode in a server where people sign in, which others can reach.
    """
    settings = settings_of(environ, host)
    channel = TeamsChannel(settings)
    CHANNELS[channel.name] = channel
    tokens = None if settings.local else ServiceTokens(settings)

    def opened(desk: Desk) -> ASGIApp:
        if settings.local and not desk.people.local:
            raise TeamsSettingsError(
                f"{LOCAL} lets anybody who reaches this server be anybody, and people sign in to "
                f"it, so that others reach it: remove {LOCAL}, and set the credentials of a bot."
            )
        return create_endpoint(settings, Reception(desk), tokens)

    return opened
