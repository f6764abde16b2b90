"""A rotator that sleeps before any of its requests, and another one that takes it for dead."""

from itertools import count

import pytest

from tests.backends.asleep import Bedroom
from tests.backends.conftest import KINDS, MORE_KINDS
from tests.backends.kinds import Site
from tests.backends.scene import LATER
from tests.support.crew import Crew
from tests.support.process import Runner

MOST = 60
# Whoever takes it for dead keeps the token, or renews it as well.
KEPT, DUE = (60, "--force"), (3,)


def cases() -> list[object]:
    """Return each kind with each of the two; all but one for the long run only."""
    return [
        pytest.param(
            kind,
            case,
            id=f"{kind} {name}",
            marks=() if (kind, name) == ("vault", "kept") else pytest.mark.long,
        )
        for kind in (*KINDS, *MORE_KINDS)
        for name, case in (("kept", KEPT), ("due", DUE))
    ]


@pytest.mark.parametrize(("site", "case"), cases(), indirect=["site"])
def test_a_sleeper_never_writes_a_token_that_was_revoked_meanwhile(
    site: Site, rotator: Runner, crew: Crew, case: tuple[int, *tuple[str, ...]]
) -> None:
    days, *arguments = case
    problems = []
    for number in count():
        with Bedroom(site, rotator, crew, days=days) as room:
            moment, slept = room.rotate_asleep(number, *arguments)
            if moment is None:
                break
            where = f"{number} {moment}"
            if not room.secret_works():
                problems.append(f"{where}: the bot has a token that was revoked: {slept}")
            room.clock.ahead += LATER
            after = room.rotate()
            if after.status != 0:
                problems.append(f"{where}: the next run: {after}; asleep: {slept}")
            if [row.secret for row in room.api.live_tokens()] != [site.secret()]:
                problems.append(
                    f"{where}: {len(room.api.live_tokens())} live; asleep: {slept};"
                    f" awake: {room.awake}; after: {after}"
                )
            if site.neighbours() != room.neighbours:
                problems.append(f"{where}: something else in the store changed")
        assert number < MOST
    assert "\n".join(problems) == ""
    assert number > 10
