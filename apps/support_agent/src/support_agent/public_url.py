"""Where browsers reach this server, said once: where people sign in, by the settings file."""

from collections.abc import Mapping

from adjourn import AdjournError, Authenticator

VARIABLE = "SUPPORT_PUBLIC_URL"


class PublicUrlsDiffer(AdjournError):
    """The support agent does not start: its links, or the shop's tickets, would be for another
    server than the one that people reach."""

    def __init__(self, said: str, public_url: str) -> None:
        super().__init__(
            f"{VARIABLE} is {said!r}, and the settings file says public_url = {public_url!r}. Say "
            f"the same, or unset {VARIABLE}: the settings file is enough."
        )


def public_url_of(people: Authenticator, environ: Mapping[str, str]) -> str:
    """Without a slash at its end; empty where nothing says it.

    Raises: PublicUrlsDiffer.
    """
    said = environ.get(VARIABLE, "").strip().rstrip("/")
    if people.local:
        return said
    if said and said != people.public_url:
        raise PublicUrlsDiffer(said, people.public_url)
    return people.public_url
