"""A call in a thread that any number of asyncio tasks wait for."""

from __future__ import annotations

from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

P = ParamSpec("P")
T = TypeVar("T")


class Flight:
    """Makes the call for the tasks of one event loop; other loops and threads have their own."""

    def __init__(self, call: Callable[[], str]) -> None:
        self._call = call
        self._latest: tuple[object, asyncio.Future[str]] | None = None

    def joined(self, reason: object) -> asyncio.Future[str]:
        """Return the call that is under way for that very reason, or begin one.

        A task of its own for each would take all threads of the loop's pool, which others need.
        """
        import asyncio  # noqa: PLC0415 - of no use to bots without tasks

        loop = asyncio.get_running_loop()
        if self._latest:
            of, future = self._latest
            if of is reason and not future.done() and future.get_loop() is loop:
                return future
        future = loop.run_in_executor(None, self._call)
        future.add_done_callback(_noticed)  # perhaps nobody waits for its failure
        self._latest = reason, future
        return future


async def in_thread(call: Callable[P, T], *args: P.args, **options: P.kwargs) -> T:
    """Make a call in a thread of the event loop's pool."""
    import asyncio  # noqa: PLC0415 - (the same)

    return await asyncio.to_thread(call, *args, **options)


def _noticed(future: asyncio.Future[str]) -> None:
    if not future.cancelled():
        future.exception()
