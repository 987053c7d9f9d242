"""What pages hear of a talk while it goes on."""

import asyncio

import pytest

from support_agent.live import QUEUE_LIMIT, Changed, Delta, Hub, Piece

PATIENCE_SECONDS = 10


@pytest.mark.parametrize(("published", "heard"), [(QUEUE_LIMIT, QUEUE_LIMIT), (QUEUE_LIMIT + 1, 1)])
def test_a_page_never_hears_what_comes_behind_a_piece_that_it_missed(
    published: int, heard: int
) -> None:
    """It is let go instead, and reads everything anew when it comes again."""

    async def listen() -> list[Piece]:
        hub, taken = Hub(), list[Piece]()
        async with hub.listening("t") as pieces, asyncio.timeout(PATIENCE_SECONDS):
            waiting = asyncio.ensure_future(anext(pieces))
            await asyncio.sleep(0)  # it waits for the first piece before there is any
            for number in range(published):
                hub.publish("t", Delta(f"{number}", "a/1"))
            taken.append(await waiting)
            hub.publish("t", Changed())
            async for piece in pieces:
                taken.append(piece)
                if isinstance(piece, Changed):
                    break
        return taken

    taken = asyncio.run(listen())

    assert taken[:heard] == [Delta(f"{number}", "a/1") for number in range(heard)]
    assert taken[heard:] in ([], [Changed()])
    assert (Changed() in taken) == (published <= QUEUE_LIMIT)
