"""The commands. All but `run` talk to a running one over HTTP."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Annotated, Any

from cyclopts import App, CycloptsError, Parameter
from rich.text import Text

from adjourn import __version__
from adjourn.backends.protocol import SettledAs
from adjourn.cli import exits
from adjourn.cli.exits import UsageError, exit_code_of
from adjourn.cli.keys import keys_app
from adjourn.cli.links import links as link_commands
from adjourn.cli.people import people as people_commands
from adjourn.cli.people import sessions as session_commands
from adjourn.cli.text import console, json_text, printable
from adjourn.cli.webhooks import notify as notify_commands
from adjourn.cli.webhooks import webhooks as webhook_commands
from adjourn.client.app import KEY_VARIABLE, Adjourn
from adjourn.client.client import Client
from adjourn.engine.messages import OnConflict
from adjourn.errors import AdjournError
from adjourn.model.codec import canonical
from adjourn.model.privacy import Redactor
from adjourn.model.state import Attribute

DEFAULT_PORT = 7071  # as the Functions host
DEFAULT_ADDRESS = f"http://127.0.0.1:{DEFAULT_PORT}"

At = Annotated[str, Parameter(env_var="ADJOURN_AT", help="Address of `adjourn run`.")]

cli = App(
    name="adjourn",
    help="Durable functions in one process and one file.",
    version=__version__,
    help_format="plaintext",
)
cli.command(session_commands)
cli.command(people_commands)
cli.command(keys_app)
cli.command(link_commands)
cli.command(notify_commands)
cli.command(webhook_commands)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code (`adjourn.cli.exits`)."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a name that this terminal cannot show is no error
            stream.reconfigure(errors="backslashreplace")  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]  # TextIO does not say so
    try:
        tokens = list(sys.argv[1:] if arguments is None else arguments)
        cli(tokens, exit_on_error=False, print_error=False, result_action="return_value")
        sys.stdout.flush()
    except AdjournError as error:
        return _say(str(error), exit_code_of(error))
    except CycloptsError as error:
        return _say(str(error), exits.USAGE)
    except UnicodeEncodeError:
        return _say("Arguments must be text in UTF-8.", exits.USAGE)
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return exits.INTERRUPTED
    return 0


def _say(message: str, code: int) -> int:
    # What broke may quote anything; what an application hides is not known here.
    line = printable(" ".join(Redactor().text(message).split()))
    text = Text.assemble(("error: ", "bold red"), (line, "red"))
    console(sys.stderr).print(text, soft_wrap=True)
    return code


@asynccontextmanager
async def client_at(address: str, *, for_people: bool = False) -> AsyncGenerator[Client]:
    """A client of the server at `address`; what it reads `for_people` is redacted by the server's
    rules. Raises: UsageError for what is no address."""
    if not address.startswith(("http://", "https://")):
        raise UsageError(f"--at takes the http:// address of `adjourn run`, not {address!r}.")
    client = Adjourn().open(address)
    if for_people:
        from adjourn.backends.http import HttpBackend

        key = os.environ.get(KEY_VARIABLE, "").strip()
        client = Client(client.registry, HttpBackend(address, key, for_people=True))
    async with client:
        yield client


def _json(what: str, text: str | None) -> Any:
    return None if text is None else json.loads(bytes(canonical(os.fsencode(text), what)))


@cli.command
def run(
    target: str,
    /,
    *,
    db: str = "adjourn.db",
    host: str = "127.0.0.1",
    port: int = DEFAULT_PORT,
    people: str | None = None,
    settings: str | None = None,
) -> None:
    """Serve an application: its engine, the dashboard and the HTTP API, in this process.

    Parameters
    ----------
    target
        module:app, an Adjourn() in a module that can be imported from here.
    db
        The file; created if missing.
    host
        A loopback address; any other only where people sign in (--settings).
    port
        0 takes any free one.
    people
        A JSON file of those who may act: a list of objects with id, name, title, groups, roles
        and accounts (who they are in other channels); five made-up people without it.
    settings
        A TOML file: how people sign in, who they are, mail, webhooks, limits (docs/settings.md).
    """
    from adjourn.cli import run as running  # the server is slow to import, and only this needs it

    running.run(target, db, host, port, people, settings)


@cli.command
async def start(
    name: str,
    input: str | None = None,
    /,
    *,
    id: str | None = None,
    on_conflict: OnConflict = "error",
    wait: Annotated[bool, Parameter(negative="")] = False,
    at: At = DEFAULT_ADDRESS,
) -> None:
    """Start an orchestrator with a JSON input.

    Parameters
    ----------
    wait
        Wait for the end and print the result.
    """
    async with client_at(at) as client:
        data = _json("The input", input)
        handle = await client.start(name, data, id=id, on_conflict=on_conflict)
        if wait:
            print(json_text(await handle.result()))
        elif handle.created:
            print(f"Started {handle.id}.")
        else:
            print(f"{handle.id} was there already; nothing was started.")


@cli.command(name="raise")
async def raise_event(
    id: str,
    event: str,
    data: str | None = None,
    /,
    *,
    event_id: str | None = None,
    at: At = DEFAULT_ADDRESS,
) -> None:
    """Send an external event with JSON data.

    Parameters
    ----------
    event_id
        Your own id of this message: it is applied at most once.
    """
    async with client_at(at) as client:
        said = await client.raise_event(id, event, _json("The data", data), event_id=event_id)
    again = "Duplicate: this event id was applied before, and nothing has changed."
    print("Accepted." if said == "accepted" else again)


@cli.command
async def show(
    id: str,
    /,
    *,
    execution: int | None = None,
    json: Annotated[bool, Parameter(negative="")] = False,
    unredacted: Annotated[bool, Parameter(negative="")] = False,
    at: At = DEFAULT_ADDRESS,
) -> None:
    """Show one instance: what it waits for, and its timeline (times are UTC).

    Parameters
    ----------
    execution
        An earlier execution; the latest by default.
    json
        Everything, as JSON.
    unredacted
        Also what the application hides from people. The server decides whether you may.
    """
    from adjourn.cli.timeline import header, timeline

    async with client_at(at, for_people=not unredacted) as client:
        state = await client.get(id)
        latest = await client.history(id)
        other = execution is not None and execution != state.execution
        entries = await client.history(id, execution=execution) if other else latest
    if other and not entries:
        raise UsageError(f"{id} has executions 1 to {state.execution}, and no {execution}.")
    if json:
        print(json_text({"instance": state, "history": entries}))
        return
    out = console()
    for line in header(state, latest):
        out.print(line, soft_wrap=True)
    out.print(f"\nTimeline of execution {entries[0].execution}:" if entries else "\nNo events.")
    for line in timeline(entries):
        out.print(line, soft_wrap=True)


@cli.command(name="list")
async def list_instances(
    *,
    status: Sequence[str] = (),
    name: Sequence[str] = (),
    prefix: str = "",
    waiting_for: str = "",
    where: Sequence[str] = (),
    limit: int = 50,
    page: str | None = None,
    json: Annotated[bool, Parameter(negative="")] = False,
    at: At = DEFAULT_ADDRESS,
) -> None:
    """List instances, newest first.

    Parameters
    ----------
    status
        Running, Failed and so on; may be repeated.
    name
        Of the orchestrator; may be repeated.
    prefix
        Of the id.
    waiting_for
        Name of an event that it waits for.
    where
        attribute=value; may be repeated. 12 is a number, '"12"' a text.
    page
        The token that the page before ended with.
    """
    from adjourn.cli.tables import table_of

    async with client_at(at, for_people=True) as client:
        found = await client.list(
            statuses=status,
            names=name,
            id_prefix=prefix,
            waiting_for=waiting_for,
            where=dict(_condition(text) for text in where),
            newest_first=True,
            limit=limit,
            page_token=page,
        )
    if json:
        print(json_text(found))
    elif not found.instances:
        asked = status or name or prefix or waiting_for or where or page
        print("No instance matches." if asked else "No instances yet: `adjourn start NAME`.")
    else:
        console().print(table_of(found))
        if found.next_token:
            print(f"There are more: --page {found.next_token}")


def _condition(text: str) -> tuple[str, Attribute]:
    name, sign, value = text.partition("=")
    if not name or not sign:
        raise UsageError(f"--where takes attribute=value, not {text!r}.")
    try:
        read = json.loads(value)
    except ValueError:
        return name, value
    return name, value if isinstance(read, list | dict) else read


@cli.command
async def terminate(id: str, /, *, reason: str = "", at: At = DEFAULT_ADDRESS) -> None:
    """End an instance and its children now; its code does not run again."""
    async with client_at(at) as client:
        await client.terminate(id, reason)
    print(f"Terminated {id}.")


@cli.command
async def suspend(id: str, /, *, reason: str = "", at: At = DEFAULT_ADDRESS) -> None:
    """Suspend an instance: what arrives waits until it is resumed."""
    async with client_at(at) as client:
        await client.suspend(id, reason)
    print(f"Suspended {id}.")


@cli.command
async def resume(id: str, /, *, reason: str = "", at: At = DEFAULT_ADDRESS) -> None:
    """Resume a suspended instance: what waited is handed over, in order."""
    async with client_at(at) as client:
        await client.resume(id, reason)
    print(f"Resumed {id}.")


@cli.command
async def settle(
    id: str,
    step: int,
    outcome: SettledAs,
    /,
    *,
    by: str,
    result: str | None = None,
    reason: str = "",
    at: At = DEFAULT_ADDRESS,
) -> None:
    """Say what became of an activity in doubt; `show` names its step.

    Parameters
    ----------
    by
        Who says so; it stays in history.
    result
        JSON, when it completed.
    reason
        When it failed.
    """
    async with client_at(at) as client:
        data = _json("The result", result)
        await client.settle(id, step, outcome, by=by, result=data, reason=reason)
    print(f"Settled step {step} of {id}: {outcome}.")


@cli.command
def verify(file: str, /) -> None:
    """Check every hash chain of a file, also while `run` serves it; name what is broken.

    Parameters
    ----------
    file
        Of an engine. It is only read.
    """
    from adjourn.cli.verifying import verify_file

    verify_file(file)
