"""Handing a mail to a server: one connection, one mail, and what the server answered."""

from __future__ import annotations

import smtplib
import socket
import ssl
from contextlib import suppress
from dataclasses import dataclass

from adjourn.approvals.text import one_line
from adjourn.notify.settings import MailSettings

ANSWER_LIMIT = 200  # characters of what a server answered
LOGIN_NEEDED = 530
CUT_OFF = 421


@dataclass(frozen=True, slots=True)
class Handed:
    """What the server said."""

    taken: bool
    final: bool
    """Whether it would say the same again: it refused this address, or this mail."""
    answer: str


class Cord:
    """Holds a conversation's connection, and lets another thread end what takes too long."""

    def __init__(self) -> None:
        self._connection: smtplib.SMTP | None = None
        self._is_cut = False

    def holds(self, connection: smtplib.SMTP) -> None:
        """Raises: OSError when it is cut already."""
        self._connection = connection
        if self._is_cut:
            raise OSError("it took too long")

    def close(self) -> None:
        """At the end, by whoever speaks."""
        if self._connection is not None:
            self._connection.close()

    def cut(self) -> None:
        """From another thread: whatever is waited for fails at once."""
        self._is_cut = True
        held = getattr(self._connection, "sock", None)  # TLS puts another in its place
        if isinstance(held, socket.socket):
            with suppress(OSError):
                held.shutdown(socket.SHUT_RDWR)  # wakes the thread that reads; close would not


def hand_over(settings: MailSettings, password: str, to: str, mail: bytes, cord: Cord) -> Handed:
    """Hand it over, or say why not. Encrypted with a verified certificate, or not at all, unless
    the server is this machine. Blocks, each step for `timeout_seconds` at most.

    A mail that the server took and whose answer was lost is told as not taken: it is sent again,
    with its Message-ID.
    """
    try:
        connection = _connect(settings, cord)
        if settings.user:
            connection.login(settings.user, password)
        return _speak(connection, settings.sender, to, mail)
    except smtplib.SMTPResponseException as error:
        # Greeting, encryption, login: about us and not about this mail, so it may get better.
        return Handed(False, False, _answer(error.smtp_code, error.smtp_error))
    except (smtplib.SMTPException, OSError, ValueError) as error:
        return Handed(False, False, _trouble(error))
    finally:
        cord.close()


def _connect(settings: MailSettings, cord: Cord) -> smtplib.SMTP:
    """Raises: SMTPException, OSError."""
    place, seconds = (settings.host, settings.usual_port), settings.timeout_seconds
    if settings.tls == "none":
        connection = smtplib.SMTP(*place, local_hostname=settings.domain, timeout=seconds)
        cord.holds(connection)
        return connection
    context = ssl.create_default_context(cafile=settings.ca_file or None)
    if settings.tls == "tls":
        over_tls = smtplib.SMTP_SSL(
            *place, local_hostname=settings.domain, timeout=seconds, context=context
        )
        cord.holds(over_tls)
        return over_tls
    connection = smtplib.SMTP(*place, local_hostname=settings.domain, timeout=seconds)
    cord.holds(connection)
    connection.starttls(context=context)  # raises where the server does not offer it
    return connection


def _speak(connection: smtplib.SMTP, sender: str, to: str, mail: bytes) -> Handed:
    """Raises: SMTPException, OSError."""
    connection.ehlo_or_helo_if_needed()
    code, said = connection.mail(sender)
    if code != 250:
        return Handed(False, False, _answer(code, said))
    code, said = connection.rcpt(to)
    if code not in (250, 251):
        return Handed(False, _refuses(code), _answer(code, said))
    try:
        code, said = connection.data(mail)
    except smtplib.SMTPDataError as error:
        code, said = error.smtp_code, error.smtp_error
    if code != 250:
        return Handed(False, _refuses(code), _answer(code, said))
    with suppress(smtplib.SMTPException, OSError):  # it is taken, whatever becomes of the farewell
        connection.quit()
    return Handed(True, True, _answer(code, said))


def _refuses(code: int) -> bool:
    return 500 <= code < 600 and code != LOGIN_NEEDED


def _answer(code: int, said: bytes | str) -> str:
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
    return one_line(f"{code} {text}", ANSWER_LIMIT)


def _trouble(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate: {error.verify_message}"
    words = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return one_line(f"{type(error).__name__}: {words}", ANSWER_LIMIT)
