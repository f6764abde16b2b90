"""Each rule of the policy, kept and broken, and what of the account is listed."""

from datetime import timedelta

import pytest

from rotator.cli.report.evidence import Evidence, Mark, gather
from rotator.cli.report.policy import RuleName, RuleState
from rotator.clock import rfc3339
from rotator.errors import ApiUnreachableError, ConfigError
from rotator.stores.journal import Disuse
from rotator.tokens import ServiceToken
from tests.faults.door import Door
from tests.leak.site import Site
from tests.support.world import EXCHANGE

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
RENEWED, AGE, END, STORES, FINISHED, RETIRED, MOVED = RuleName
KEPT, BROKEN, UNKNOWN, UNSET = RuleState
A_DAY_AGO = "2026-11-22T12:00:00Z"


def look(site: Site, *names: str, unused: timedelta = 90 * DAY) -> Evidence:
    return gather(site.settings, names, unused, site.clock)


def of_luna(site: Site, rule: RuleName) -> tuple[RuleState, str]:
    (token,) = look(site, "luna").tokens
    return next((each.state, each.message) for each in token.results if each.rule is rule)


def state(site: Site, rule: RuleName) -> RuleState:
    return of_luna(site, rule)[0]


def replace(site: Site, *, minted: str = A_DAY_AGO, words: str = "") -> str:
    """Let luna's token have replaced another one, which lives; return the id of that one."""
    old = site.issue(made=30 * DAY)
    new = site.issue(days=89, made=DAY)
    note = f"# rotator: v=1 token={new} previous={old} minted={minted} {words.format(old)}\n"
    site.put("luna", site.api.tokens[-1].secret, note)
    return old


def test_what_is_in_order_is_kept(site: Site) -> None:
    evidence = look(site)
    assert evidence.state is KEPT
    assert [token.name for token in evidence.tokens] == ["luna", "sol", "nyx"]
    (results,) = {tuple((r.rule, r.state) for r in token.results) for token in evidence.tokens}
    assert dict(results) == {
        **dict.fromkeys((RENEWED, STORES, FINISHED, RETIRED, MOVED), KEPT),
        **dict.fromkeys((AGE, END), UNSET),
    }
    assert (evidence.marked, evidence.troubles) == ([], [])


def test_nothing_is_exchanged(site: Site) -> None:
    look(site)
    assert EXCHANGE not in [path for _, path, _ in site.api.calls]


@pytest.mark.parametrize(
    ("days", "state"), [(8, KEPT), (4, KEPT), (3.4, BROKEN), (0.5, BROKEN), (-1, BROKEN)]
)
def test_a_token_is_renewed_in_time_while_half_of_the_margin_is_left(
    site: Site, days: float, state: RuleState
) -> None:
    site.put("luna", site.api.issue(days))
    found, message = of_luna(site, RENEWED)
    assert found is state
    assert "expire" in message


@pytest.mark.parametrize("secret", ["", "garbage"])
def test_what_is_no_token_is_no_renewed_token(site: Site, secret: str) -> None:
    (site.folder / "luna.env").write_text(f"NOCTURNA_SERVICE_TOKEN={secret}\n")
    (site.folder / "luna.env").chmod(0o600)
    assert state(site, RENEWED) is BROKEN


def test_a_token_that_is_not_listed_was_revoked_unless_it_is_new(site: Site) -> None:
    secret = site.api.issue(days=89)
    token_id = site.put("luna", secret)
    site.api.revoke(token_id)
    assert of_luna(site, RENEWED) == (
        BROKEN,
        "the API does not list the token, so it was revoked",
    )
    site.put("luna", secret, f"# rotator: v=1 token={token_id} minted=2026-11-23T12:00:00Z\n")
    assert state(site, RENEWED) is KEPT
    site.clock.advance(HOUR)
    assert state(site, RENEWED) is BROKEN


def test_another_scope_than_the_configured_one_is_not_renewed(site: Site) -> None:
    site.keys = 'scope = "charts"\n'
    assert state(site, RENEWED) is BROKEN


@pytest.mark.parametrize(("passed", "state"), [(timedelta(), KEPT), (HOUR, BROKEN)])
def test_a_token_is_as_old_as_the_list_says(
    site: Site, passed: timedelta, state: RuleState
) -> None:
    site.keys = 'max_age = "83d"\n'
    site.put("luna", site.api.issue(days=89, created_at=site.clock() - 83 * DAY))
    site.clock.advance(passed)
    assert of_luna(site, AGE) == (state, "83 days old, 83 days are allowed")


def test_or_as_the_journal_says_or_nobody_knows(site: Site) -> None:
    site.keys = 'max_age = "83d"\n'
    secret = site.api.issue(days=89)
    token_id = site.put("luna", secret)
    site.api.revoke(token_id)
    assert state(site, AGE) is UNKNOWN
    site.put("luna", secret, f"# rotator: v=1 token={token_id} minted={A_DAY_AGO}\n")
    assert of_luna(site, AGE) == (KEPT, "1 day old, 83 days are allowed")


@pytest.mark.parametrize(("allowed", "state"), [("true", UNSET), ("false", BROKEN)])
def test_an_eternal_token_has_to_be_allowed(site: Site, allowed: str, state: RuleState) -> None:
    site.keys = f"allow_eternal = {allowed}\n"
    site.put("luna", site.api.issue(eternal=True))
    assert of_luna(site, END)[0] is state
    assert state_of_sol(site) is (UNSET if allowed == "true" else KEPT)


def state_of_sol(site: Site) -> RuleState:
    (token,) = look(site, "sol").tokens
    return next(each.state for each in token.results if each.rule is END)


def test_a_store_that_lacks_the_token_breaks_the_policy_and_one_that_is_away_hides_it(
    site: Site,
) -> None:
    site.stores["luna"].append("other.env")
    (site.folder / "other.env").write_text("A=1\n")
    assert state(site, STORES) is BROKEN
    assert state(site, RENEWED) is KEPT
    site.stores["luna"][-1] = "away/luna.env"
    assert state(site, STORES) is UNKNOWN
    evidence = look(site)
    assert evidence.state is UNKNOWN
    assert "luna: dotenv://" in evidence.troubles[0]


def test_of_a_token_all_of_whose_stores_are_away_nothing_is_proven(site: Site) -> None:
    site.keys = 'max_age = "83d"\nallow_eternal = false\n'
    site.stores["luna"] = ["away/luna.env"]
    (token,) = look(site, "luna").tokens
    states = {each.rule: each.state for each in token.results}
    assert [states[rule] for rule in (RENEWED, AGE, END, STORES)] == [UNKNOWN] * 4
    assert token.state is UNKNOWN


@pytest.mark.parametrize(
    "words", ["hook=01234567", "intent=0123456789ab/2026-11-20T00:00:00Z/90/01234567"]
)
def test_what_a_run_left_undone_breaks_the_policy(site: Site, words: str) -> None:
    replace(site, words=words)
    found, message = of_luna(site, FINISHED)
    assert found is BROKEN
    assert message.endswith(": rotator rotate luna settles it")


def test_a_mint_that_may_be_under_way_proves_nothing_and_says_what_to_do(site: Site) -> None:
    replace(site, words="intent=0123456789ab/2026-11-23T11:59:00Z/90/01234567")
    found, message = of_luna(site, FINISHED)
    assert found is UNKNOWN
    assert "look again in some minutes" in message
    assert "rotator rotate luna settles it" in message


def test_nothing_was_replaced_so_no_bearer_is_left(site: Site) -> None:
    assert of_luna(site, RETIRED) == (KEPT, "no replaced token can be exchanged")


@pytest.mark.parametrize("eternal", [True, False])
def test_the_bearers_of_a_leak_are_told(site: Site, *, eternal: bool) -> None:
    leaked = site.put("luna", site.api.issue(60, eternal=eternal))
    end = "for ever" if eternal else f"until {site.api.tokens[-1].expires_at:%Y-%m-%d %H:%M} UTC"
    site.answer("luna")
    found, message = of_luna(site, RETIRED)
    assert found is KEPT
    assert message.endswith(f"a revoked token works until its own end: {leaked} {end}")


def test_one_too_young_to_be_an_orphan_is_not_called_none(site: Site) -> None:
    site.issue(made=timedelta(seconds=5))
    evidence = look(site)
    assert evidence.marked == []
    young = "1 live token of this admin may be on the way to a store, too young to tell"
    assert evidence.troubles == [f"{young}: look again in some minutes"]


@pytest.mark.parametrize(
    ("retire", "minted", "state"),
    [
        ("never", "2026-11-01T12:00:00Z", KEPT),
        ("30d", "2026-11-01T12:00:00Z", KEPT),
        ("now", A_DAY_AGO, KEPT),  # a run may have been late
        ("now", "2026-11-22T11:59:59Z", BROKEN),
        ("2d", "2026-11-20T11:00:00Z", BROKEN),
        ("unused 24h", "2026-11-21T12:00:00Z", KEPT),
        ("unused 24h", "2026-11-21T11:59:59Z", BROKEN),
    ],
)
def test_an_old_token_lives_no_longer_than_it_may(
    site: Site, retire: str, minted: str, state: RuleState
) -> None:
    site.keys = f'retire = "{retire}"\n'
    old = replace(site, minted=minted)
    found, message = of_luna(site, RETIRED)
    assert found is state
    if state is BROKEN:
        assert message.startswith(f"alive, though their time is over: {old}; rotator rotate")
        site.api.revoke(old)
        found, message = of_luna(site, RETIRED)
        assert found is KEPT
        assert message.startswith("no replaced token can be exchanged; as a direct bearer")


@pytest.mark.parametrize(
    ("retire", "used_before", "state"),
    [
        ("unused 24h", 2 * DAY, KEPT),
        ("unused 24h", 2 * DAY + HOUR, BROKEN),
        ("unused 24h", -HOUR, KEPT),  # dated wrongly: no evidence
        ("unused 24h, at most 20d", HOUR, BROKEN),
        ("unused 24h, at most 30d", HOUR, KEPT),
    ],
)
@pytest.mark.parametrize("is_owed", [True, False])
def test_an_old_token_that_ends_unused_lives_as_long_as_somebody_uses_it(
    site: Site, retire: str, used_before: timedelta, state: RuleState, *, is_owed: bool
) -> None:
    site.keys = f'retire = "{retire}"\n'
    minted = site.clock() - 22 * DAY
    has_bound = "at most" in retire
    end = minted + 20 * DAY if "20d" in retire else site.clock() + 60 * DAY
    disuse = Disuse(DAY, is_bounded=has_bound, since=minted)
    words = f"owed={{0}}@{rfc3339(end)} unused={disuse.to_text('{0}')}" if is_owed else ""
    old = replace(site, minted=rfc3339(minted), words=words)
    row = next(each for each in site.api.tokens if each.id == old)
    row.last_used_at = site.clock() - used_before
    assert of_luna(site, RETIRED)[0] is state


@pytest.mark.parametrize(("due", "state"), [(A_DAY_AGO, KEPT), ("2026-11-22T11:59:59Z", BROKEN)])
def test_a_revocation_that_is_owed_waits_for_a_day_at_most(
    site: Site, due: str, state: RuleState
) -> None:
    replace(site, words=f"owed={{}}@{due}")
    assert of_luna(site, RETIRED)[0] is state


@pytest.mark.parametrize(
    ("used", "state"), [(None, KEPT), (timedelta(hours=24), KEPT), (timedelta(hours=25), BROKEN)]
)
def test_who_uses_the_old_token_a_day_later_is_a_laggard(
    site: Site, used: timedelta | None, state: RuleState
) -> None:
    old = replace(site, minted="2026-11-20T12:00:00Z")
    row = next(each for each in site.api.tokens if each.id == old)
    row.last_used_at = None if used is None else site.clock() - 3 * DAY + used
    found, message = of_luna(site, MOVED)
    assert found is state
    assert (old in message) is (state is BROKEN)


def test_the_account_is_searched_for_what_should_not_be_there(site: Site) -> None:
    eternal = site.put("luna", site.api.issue(eternal=True))
    orphan = site.issue(made=DAY)
    over = site.issue(days=-1, made=91 * DAY)
    idle = site.issue(days=100, made=200 * DAY)
    used = site.issue(days=100, made=200 * DAY)
    site.api.tokens[-1].last_used_at = site.clock() - 89 * DAY
    foreign = site.issue(days=-1)
    site.api.tokens[-1].user_id = "somebody-else"
    marks = {each.row.token_id: set(each.marks) for each in look(site).marked}
    lost = ServiceToken.parse(site.api.tokens[0].secret).token_id  # which luna had before
    assert marks == {
        eternal: {Mark.ETERNAL},
        orphan: {Mark.ORPHAN},
        over: {Mark.EXPIRED, Mark.UNUSED},
        idle: {Mark.ORPHAN, Mark.UNUSED},
        used: {Mark.ORPHAN},
        lost: {Mark.ORPHAN},
    }
    assert foreign not in marks
    assert Mark.UNUSED in {m for e in look(site, unused=80 * DAY).marked for m in e.marks}


def test_failures_are_errors(site: Site) -> None:
    with pytest.raises(ConfigError, match="there is no token"):
        look(site, "nobody")
    with Door(site.api.url) as door:
        site.url = door.url
        door.shut()
        with pytest.raises(ApiUnreachableError):
            look(site)
