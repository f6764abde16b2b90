"""A rotator that sleeps before any of its requests, and another one that takes it for dead."""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from threading import Event

import pytest

from tests.backends.asleep import Bedroom
from tests.backends.conftest import KINDS, MORE_KINDS
from tests.backends.kinds import Site
from tests.backends.scene import LATER
from tests.support.clock import ServersClock
from tests.support.crew import Crew, Running
from tests.support.forked import Job
from tests.support.process import Runner
from tests.support.relay import Moment, Relay
from tests.support.sandbox import Sandbox
from tests.support.waiting import PATIENCE

MOST = 60
# Whoever takes it for dead keeps the token, or renews it as well.
KEPT, DUE = (60, "--force"), (3,)
MINT = "POST /api/auth/admin/service-tokens"


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
    site: Site,
    rotator: Runner,
    crew: Crew,
    case: tuple[int, *tuple[str, ...]],
    moments: Iterator[int],
) -> None:
    days, *arguments = case
    problems = []
    for number in moments:
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


@pytest.mark.long  # what it takes of a store stands in the contract of stores
@pytest.mark.parametrize("site", [*KINDS, *MORE_KINDS], indirect=True)
def test_a_token_is_found_that_a_sleeper_notes_and_proves_before_it_dies(
    site: Site, rotator: Runner, crew: Crew
) -> None:
    clock, asleep, awake, proven = ServersClock(), Event(), Event(), Event()
    with ExitStack() as stack:
        api = stack.enter_context(Sandbox(clock=clock))
        site.put(api.issue(days=60))

        def start(name: str, *arguments: str, at: Moment = lambda _: True) -> Running:
            to_api, to_store = (
                stack.enter_context(Relay(upstream, at)) for upstream in (api.url, site.upstream)
            )
            rotator.use(api, site.store_url)
            changes = {"NOCTURNA_API_URL": to_api.url, "ROTATOR_RETIRE": "now"}
            environ = {**rotator.env, **changes, **site.variables(to_store.url)}
            (folder := rotator.folder / name).mkdir()
            return crew.start(Job(str(folder), ("rotate", *arguments), environ))

        def sleep_before_the_mint(moment: str) -> bool:
            if moment == f"before {MINT}":
                asleep.set()
                return awake.wait(PATIENCE)
            if "service-token/refresh" in moment and moment.startswith("after"):
                proven.set()
                return False
            return not proven.is_set()

        def let_the_other_end(moment: str) -> bool:
            if moment == f"after {MINT}":
                awake.set()
                assert proven.wait(PATIENCE)
                sleeper.kill()
                sleeper.wait()
            return True

        sleeper = start("asleep", "--force", at=sleep_before_the_mint)
        assert asleep.wait(PATIENCE)
        clock.ahead += timedelta(seconds=150)  # it counts as dead, and may still mint
        other = start("awake", "--force", at=let_the_other_end).result()
        clock.ahead += LATER
        last = start("last").result()
        assert [row.secret for row in api.live_tokens()] == [site.secret()], f"{other} {last}"
        assert last.status == 0
