"""What `adjourn run tests.privacy.served:app` serves: a shop that says too much everywhere.

What it must say only when it breaks, it is given backwards, so that it stands in no input.
"""

from __future__ import annotations

import logging
import os

import msgspec
from starlette.types import Receive, Scope, Send

from adjourn import (
    ActivityFailedError,
    Adjourn,
    Bounds,
    Context,
    Conversation,
    Facts,
    Line,
    Rejected,
    RetryPolicy,
    group,
)
from adjourn.model.privacy import Privacy

ONCE = RetryPolicy(max_number_of_attempts=1)
app = Adjourn()
app.protect(Privacy(redact=["iban"], secrets_env=["SHOP_DSN"]))
log = logging.getLogger("shop")


class Refund(msgspec.Struct):
    order: str
    iban: str
    note: str


@app.activity(retry=ONCE)
def pay(order: dict[str, str], card_number: str, told: str) -> dict[str, str]:
    log.warning("paying with token=%s of %s", told[::-1], dict(os.environ))
    return {"api_key": order["token"]}


@app.activity(retry=ONCE)
def connect(told: str) -> None:
    try:
        raise KeyError(f"secret={told[::-1]}")
    except KeyError as error:
        raise ConnectionError(f"password={told[::-1]} in {dict(os.environ)}") from error


@app.orchestrator
async def shop(ctx: Context, given: dict[str, str]) -> dict[str, str]:
    ctx.set_custom_status({"secret": given["status_token"]})
    ctx.set_attributes(note=f"token={given['attribute_token']}")
    order = {"password": given["argument_token"], "token": given["result_token"]}
    paid = await ctx.call_activity(pay, order, given["card_token"], given["logged_token"])
    try:
        await ctx.call_activity(connect, given["broken_token"])
    except ActivityFailedError as error:
        log.exception("it is %s", os.environ["SHOP_DSN"])
        paid["why"] = str(error)
    update = await ctx.wait_for_update("tell", dict[str, str])
    update.refuse(f"password={given['refused_token']}", details={"secret": given["refused_token"]})
    update = await ctx.wait_for_update("tell", dict[str, str])
    update.accept({"secret": given["accepted_token"]})
    await ctx.wait_for_external_event("Go", dict[str, str])
    decision = await ctx.approval(
        Refund(
            f"A-1, token={given['proposal_token']}",
            given["iban_token"],
            f"pwd={given['proposal_token']}",
        ),
        title=f"Pay, token={given['title_token']}",
        to=group("support"),
        evidence=[
            Facts(facts={"Api key": given["evidence_token"]}),
            Conversation(
                lines=[Line(author="Ada", text=f"my password: {given['evidence_token']}")]
            ),
        ],
        editable={"note": Bounds()},
        expires=None,
        undo="0s",
    )
    if isinstance(decision, Rejected):
        raise RuntimeError(f"password={given['failed_token'][::-1]}, {os.environ['SHOP_DSN']}")
    return paid


@app.orchestrator
async def wait(ctx: Context, _: None) -> None:
    await ctx.wait_for_external_event("Never")


async def broken(scope: Scope, receive: Receive, send: Send) -> None:
    """A handler of the application's own that quotes the request when it breaks."""
    query = scope["query_string"].decode()
    raise RuntimeError(f"{dict(scope['headers'])} at /broken?{query}: {dict(os.environ)}")


app.mount("/broken", lambda client, authenticator: broken)
