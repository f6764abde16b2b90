import signal
from datetime import UTC, datetime, timedelta

import pytest
from dotenv import dotenv_values

from rotator.tokens import ServiceToken
from tests.support.process import Runner
from tests.support.sandbox import Fault, Sandbox
from tests.support.waiting import PATIENCE, wait_until
from tests.support.world import LOGIN


def token(rotator: Runner) -> ServiceToken:
    return ServiceToken.parse(dotenv_values(rotator.env_file)["NOCTURNA_SERVICE_TOKEN"] or "")


def days_left(token: ServiceToken) -> timedelta:
    left = token.remaining(datetime.now(UTC))
    assert left
    return left


def test_a_token_is_made_on_demand_into_the_store(rotator: Runner, api: Sandbox) -> None:
    rotator.write_env(api.issue(days=60, scope="charts"))
    result = rotator("mint", "--days", "5")
    assert result.status == 0
    assert timedelta(days=4.9) < days_left(token(rotator)) <= timedelta(days=5)
    assert token(rotator).scope == "charts"
    assert api.accepts(token(rotator).secret)


def test_a_token_that_rotate_would_soon_replace_is_told_of(rotator: Runner) -> None:
    result = rotator("mint", "--days", "5")
    assert result.status == 0
    assert "default: 5 days is less than renew_before (7 days)" in result.err


def test_an_eternal_token_with_a_scope_of_its_own(rotator: Runner) -> None:
    result = rotator("mint", "--eternal", "--scope", "charts")
    assert result.status == 0
    assert "valid for ever" in result.out
    assert (token(rotator).expires_at, token(rotator).scope) == (None, "charts")
    assert rotator("check").status == 0


def test_without_days_it_is_as_configured_also_in_the_place_of_an_eternal_one(
    rotator: Runner,
) -> None:
    rotator("mint", "--eternal")
    assert "valid for 90 days" in rotator("mint").out


def test_shown_tokens_go_to_stdout_and_nowhere_else(rotator: Runner, api: Sandbox) -> None:
    with rotator.started("mint", "--show", "--days", "1") as running:
        assert running.process.wait(PATIENCE) == 0
        shown = ServiceToken.parse(running.take_out().strip())
    assert api.accepts(shown.secret)
    assert shown.scope == "calculations"
    assert not rotator.env_file.exists()
    assert f"minted token {shown.token_id}" in "".join(running.lines)


def test_shown_tokens_need_no_store(rotator: Runner) -> None:
    with rotator.started("mint", "--show", ROTATOR_STORE="") as running:
        assert running.process.wait(PATIENCE) == 0
        left = days_left(ServiceToken.parse(running.take_out().strip()))
    assert timedelta(days=89.9) < left <= timedelta(days=90)


def test_of_several_tokens_one_is_named(rotator: Runner, api: Sandbox) -> None:
    tables = [f'[[token]]\nname="{name}"\nstores=["dotenv:{name}.env"]\n' for name in "ab"]
    (rotator.folder / "rotator.toml").write_text("".join(tables))
    del rotator.env["ROTATOR_STORE"]
    result = rotator("mint")
    assert result.status == 2
    assert result.err == "rotator: mint: found no NAME, expected one of: a, b\n"
    assert rotator("mint", "b").status == 0
    assert not (rotator.folder / "a.env").exists()
    assert len(api.live_tokens()) == 1


def test_contradictions_are_refused(rotator: Runner, api: Sandbox) -> None:
    for days in ("0", "366", "abc"):
        result = rotator("mint", "--days", days)
        assert result.status == 2
        assert f"found '{days}', expected a whole number from 1 to 365" in result.err
    assert rotator("mint", "--days", "5", "--eternal").status == 2
    assert rotator("mint", "default", "--show").status == 2
    assert api.calls == []


@pytest.mark.parametrize("redirection", [">&-", ">/dev/full"])
def test_a_shown_token_that_reaches_nobody_does_not_stay(
    rotator: Runner, api: Sandbox, redirection: str
) -> None:
    result = rotator.in_shell(f"rotator mint --show {redirection}")
    assert result.status in (1, 2)
    assert result.err.count("\n") == 1
    assert api.live_tokens() == []


def test_a_signal_lets_a_token_in_hand_be_shown(rotator: Runner, api: Sandbox) -> None:
    api.misbehave(Fault.delay(1.0), "POST /auth/admin/service-tokens")
    with rotator.started("mint", "--show") as running:
        wait_until(lambda: LOGIN in api.calls)
        assert running.stop(signal.SIGINT) == 0
        assert api.accepts(running.take_out().strip())


def test_a_failed_mint_is_one_line(rotator: Runner, api: Sandbox) -> None:
    api.break_database()
    for arguments in (["mint"], ["mint", "--show"]):
        result = rotator(*arguments)
        assert (result.status, result.err.count("\n")) == (1, 1)
