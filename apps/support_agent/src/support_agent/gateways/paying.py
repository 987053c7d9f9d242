"""The one rule of paying: an unknown outcome is verified, never repeated blindly."""

from support_agent.gateways.port import (
    Declined,
    OutcomeUnknown,
    Paid,
    RefundGateway,
    RefundOrder,
)


def pay(gateway: RefundGateway, order: RefundOrder, *, first: bool) -> Paid | Declined:
    """Give the money back once, however often this is called for one key.

    `first` is true for the very first attempt of the key and for no other, crashes counted: inside
    an activity that is `current_activity().attempt == 1`, which is on disk before it starts.

    Guarantees: no attempt asks for money after another one without having looked for its refund;
    one attempt asks once at most. Paid means the gateway has the refund of this key, exactly once.
    Raises: what the gateway raises. Whoever catches OutcomeUnknown or TryLater calls again later
    with `first=False`; whoever gives up instead asks `gateway.find` for the last word.
    """
    if not first:
        earlier = gateway.find(order)
        if earlier is not None:
            return earlier
    try:
        return gateway.refund(order)
    except OutcomeUnknown:
        found = gateway.find(order)
        if found is None:
            # Not there now; but the request may still be under way. The next attempt looks again.
            raise
        return found
