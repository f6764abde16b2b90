"""Liveness and readiness of the daemon."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from enum import StrEnum
from typing import NamedTuple

from rotator.clock import TimeBudget, in_words
from rotator.config.settings import TokenSettings
from rotator.rotation.threads import WORKERS

# The main thread beats once a minute; it misses five beats only when it hangs.
LONGEST_SILENCE = 300.0  # seconds
# A look reads, may wait for the rotation of another rotator, rotates, clears up what was left over,
# and revokes: each within rotation_timeout.
LOOK_PARTS = 5
# A look at the mirrors before, and one with a push after; `rotator.rotation.mirrors` bounds them.
MIRROR_PARTS = 2
# For what no time budget bounds, such as slow disks.
LOOK_MARGIN = timedelta(minutes=5)
OLD_SETTINGS = "the old settings stay in force"


class DaemonPhase(StrEnum):
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"


class ProbeResult(NamedTuple):
    ok: bool
    message: str


class _LookInHand(NamedTuple):
    """A look in hand: when it began (monotonic seconds), and how long it can take at most."""

    started: float
    limit: timedelta
    token: TokenSettings
    budget: TimeBudget


class Health:
    """The daemon's own state: written by its main thread, read by the threads of the page.

    `tokens` are the settings in force, `reload_error` says why they could not be read again.
    `monotonic` returns seconds.
    """

    def __init__(
        self, monotonic: Callable[[], float], is_scheduler_alive: Callable[[], bool]
    ) -> None:
        self.phase = DaemonPhase.STARTING
        self.reload_error: str | None = None
        self._tokens: dict[str, TokenSettings] = {}
        self._monotonic = monotonic
        self._is_scheduler_alive = is_scheduler_alive
        self._last_beat = monotonic()
        self._looks: dict[str, _LookInHand] = {}

    @property
    def tokens(self) -> tuple[TokenSettings, ...]:
        return tuple(self._tokens.values())

    @tokens.setter
    def tokens(self, tokens: Iterable[TokenSettings]) -> None:
        self._tokens = {token.name: token for token in tokens}

    def beat(self) -> None:
        self._last_beat = self._monotonic()

    @contextmanager
    def look(self, name: str, *others: str) -> Iterator[None]:
        """Bound the waits of a look at tokens, and measure it, so that one is noticed that hangs.

        It may wait for other looks that hold the same `.env` file, and so for their hooks. Of
        several tokens, `WORKERS` are served side by side.
        """
        tokens = [self._tokens.get(each, TokenSettings(each, "", ())) for each in (name, *others)]
        token = max(tokens, key=lambda each: each.rotation_timeout)
        rounds = -(-len(tokens) // WORKERS)
        hooks = rounds * max(
            each.hook_timeout * (len(each.hooks) + len(each.restart)) for each in tokens
        )
        parts = LOOK_PARTS + (MIRROR_PARTS if any(each.mirrors for each in tokens) else 0)
        waits = rounds * parts * token.rotation_timeout + WORKERS * hooks
        budget = TimeBudget(waits.total_seconds())
        look = _LookInHand(self._monotonic(), waits + hooks + LOOK_MARGIN, token, budget)
        self._looks[name] = look
        try:
            with budget.spending():
                yield
        finally:
            del self._looks[name]

    def hurry(self) -> None:
        """Let the waits of each look in hand end within its `rotation_timeout` from now on."""
        for look in tuple(self._looks.values()):
            look.budget.shorten(look.token.rotation_timeout.total_seconds())

    def liveness(self) -> ProbeResult:
        """Return not ok where a restart helps: a thread of the scheduler or the main one hangs.

        An unreachable store or API is no such case: a restart would only cut rotations off. Neither
        is a stop, which waits for the rotation in hand.
        """
        if self.phase is DaemonPhase.RUNNING and not self._is_scheduler_alive():
            return ProbeResult(ok=False, message="the scheduler has ended")
        if self.phase is DaemonPhase.STOPPING:
            return ProbeResult(ok=True, message="ok")
        now = self._monotonic()
        if (silence := now - self._last_beat) > LONGEST_SILENCE:
            message = f"the main thread has been hanging for {silence:.0f} seconds"
            return ProbeResult(ok=False, message=message)
        for name, look in tuple(self._looks.items()):
            if (taken := timedelta(seconds=now - look.started)) > look.limit:
                message = f"a look at {name} has been in hand for {in_words(taken)}: it hangs"
                return ProbeResult(ok=False, message=message)
        return ProbeResult(ok=True, message="ok")

    def readiness(self) -> ProbeResult:
        """Return ok while the tokens are watched, also by old settings after a failed reload."""
        if self.phase is not DaemonPhase.RUNNING:
            return ProbeResult(ok=False, message=self.phase)
        liveness = self.liveness()
        if not liveness.ok:
            return liveness
        note = f"; {self.reload_error}; {OLD_SETTINGS}" if self.reload_error else ""
        return ProbeResult(ok=True, message=f"ready{note}")
