"""Sign-in by OpenID Connect."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from adjourn.access.directory import Directory
from adjourn.access.sessions import Session, SignedIn
from adjourn.access.settings import Provider
from adjourn.store.records import Records


class OpenId:
    def __init__(
        self,
        provider: Provider,
        records: Records,
        directory: Directory,
        now: Callable[[], datetime],
        public_url: str,
    ) -> None:
        pass

    async def begin(self, back: str, *, again: bool = False) -> tuple[str, str]:
        raise NotImplementedError

    async def finish(self, cookie: str, query: Mapping[str, str]) -> tuple[SignedIn, str]:
        raise NotImplementedError

    async def sign_out_address(self, session: Session) -> str:
        raise NotImplementedError
