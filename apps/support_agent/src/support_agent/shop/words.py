"""Words of people and models, as every database keeps them."""


def storable(text: str) -> str:
    """The text without NUL, which PostgreSQL refuses, and without halves of characters.

    Whoever writes it waits for an answer, and would get none of a transaction that never commits.
    """
    return text.replace("\0", "").encode(errors="ignore").decode()


def can_be_id(text: str) -> bool:
    """Whether a record can have this id; what cannot be stored cannot be asked for either."""
    return text.isprintable()
