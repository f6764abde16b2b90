"""Many tokens in one run: side by side, in a stable order, none able to stop the others."""

from collections.abc import Callable, Sequence

from rotator.errors import internal_error
from rotator.rotation.model import Action, Report
from rotator.rotation.policy import Status
from rotator.rotation.rotation import Rotation

# Half of a rotation is waiting for the API and the disk; more threads than this mostly wait for
# each other: on two cores, 1,000 rotations took 11.4 s with 16 of them, and 10.8 s with 8.
WORKERS = 8

Act = Callable[[Rotation], Report]


def run(
    rotations: Sequence[Rotation],
    act: Act,
    *,
    stopped: Callable[[], bool] = lambda: False,
    advance: Callable[[], None] = lambda: None,
) -> list[Report]:
    """Apply `act` to every token and return the reports in the order of the tokens.

    Once `stopped` says so no further token is begun; `advance` is called after each.
    """

    def one(rotation: Rotation) -> Report:
        report = _not_begun(rotation) if stopped() else guarded(rotation, act)
        advance()
        return report

    if len(rotations) == 1:
        return [one(rotations[0])]
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - one token needs no threads

    with ThreadPoolExecutor(WORKERS, "rotation") as pool:
        return list(pool.map(one, rotations))


def guarded(rotation: Rotation, act: Act) -> Report:
    """Apply `act`; a bug in it becomes a failed report, so that the other tokens are served."""
    try:
        return act(rotation)
    except Exception as error:  # noqa: BLE001 - whatever it is, it must not stop the other tokens
        return _failed(rotation, "internal", internal_error(error))


def _not_begun(rotation: Rotation) -> Report:
    return _failed(rotation, "stopped", "stopped by a signal before its turn; run again")


def _failed(rotation: Rotation, reason: str, error: str) -> Report:
    return Report(
        rotation.name, Status.UNKNOWN, reason, error, Action.FAILED, error=error, failure=reason
    )
