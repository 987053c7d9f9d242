"""What goes wrong between the agent and its model: what is worth another try, and what is said.

Errors are told apart by the names of their classes, for that is all that is left of an error once
a durable activity has failed and its failure has been written to the history.

The durable activity of a model request repeats what is transient (`worth_a_retry`): no answer, no
connection, a server's fault, too many requests, an answer that is no JSON. Everything else would
fail again in the same way, or has cost its money already, and ends in words at once. What is still
failing after the retries ends in words, too: the customer is never left without an answer.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from adjourn import FailureDetails, RetryPolicy, TaskFailedError

TRANSIENT = (
    "ModelRateLimitError",
    "ModelUnavailableError",
    "ModelOverloadedError",
    "ModelServerError",
    "ModelConnectionError",
    "ModelTimeoutError",
    "ModelRequestTimeout",
    "ModelAPIError",  # exactly this one: an answer that is no JSON, as of a gateway that is down
    "ActivityTimeoutError",
)


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why the agent did not answer: a code for programs, and words for the customer."""

    code: str
    words: str


BUSY = Trouble(
    "busy",
    "I am asked more than I can answer at this moment. Please send your message again in a minute.",
)
UNREACHABLE = Trouble(
    "unreachable",
    "I cannot reach the service that I think with. Please send your message again in a few "
    "minutes.",
)
SET_UP_WRONGLY = Trouble(
    "set_up_wrongly",
    "Something is set up wrongly on our side, so I cannot answer. That is not your fault; please "
    "try again later.",
)
TOO_LONG = Trouble(
    "conversation_too_long",
    "Our conversation has become too long for me. Please start a new one; I will know your orders "
    "and cases there.",
)
WITHHELD = Trouble("withheld", "I cannot answer that. Please put it in other words.")
TOO_MANY_STEPS = Trouble(
    "too_many_steps",
    "That took more steps than I may take for one message, so I stopped. Please ask for one thing "
    "at a time, or ask for a person.",
)
CONFUSED = Trouble(
    "confused",
    "I got muddled over that and stopped, rather than tell you something wrong. Please put it in "
    "other words, or ask for a person.",
)

# The most telling name first: an error has the names of its bases, too.
NAMED: Mapping[str, Trouble] = {
    "UsageLimitExceeded": TOO_MANY_STEPS,
    "ContentFilterError": WITHHELD,
    "ModelContextWindowExceededError": TOO_LONG,
    "ModelRateLimitError": BUSY,
    "ModelOverloadedError": BUSY,
    "ModelQuotaExceededError": SET_UP_WRONGLY,
    "ModelAuthenticationError": SET_UP_WRONGLY,
    "ModelNotFoundError": SET_UP_WRONGLY,
    "UserError": SET_UP_WRONGLY,
    "ModelRequestRejectedError": CONFUSED,
    "UnexpectedModelBehavior": CONFUSED,
    "OutputTokenLimitExceeded": CONFUSED,
    "IncompleteToolCall": CONFUSED,
}


def trouble_of(error: BaseException) -> Trouble:
    """What the customer is told of this error; what is not known by name is out of reach."""
    if isinstance(error, TaskFailedError) and isinstance(error.failure, FailureDetails):
        failure = error.failure
        known = (trouble for name, trouble in NAMED.items() if failure.is_caused_by(name))
    else:
        names = {kind.__name__ for kind in type(error).__mro__}
        known = (trouble for name, trouble in NAMED.items() if name in names)
    return next(known, UNREACHABLE)


def worth_a_retry(failure: FailureDetails) -> bool:
    """Whether the same model request may succeed when it is made again; for `retry_if`.

    Only the failure itself counts, not what caused it: a request that was rejected may have been
    reached over a connection that broke first.
    """
    return failure.type.rpartition(".")[2] in TRANSIENT


# Two requests by the client for each attempt (`models.RETRIES_OF_THE_CLIENT`): six in all, over
# about half a minute. A customer waits no longer than that for an answer.
MODEL_REQUEST_RETRY = RetryPolicy(
    max_number_of_attempts=3,
    first_retry_interval=timedelta(seconds=2),
    backoff_coefficient=3.0,
    retry_if=worth_a_retry,
)
# The shop's records: a lock held too long, a database that restarts. Writes have a key.
TOOL_CALL_RETRY = RetryPolicy(
    max_number_of_attempts=4,
    first_retry_interval=timedelta(milliseconds=500),
    backoff_coefficient=2.0,
)
