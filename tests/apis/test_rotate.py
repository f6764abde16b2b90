"""Two APIs in one run: each has its own session, orphans and failures."""

import time
from datetime import timedelta
from threading import Lock

from rotator.clock import utc_now
from rotator.stores.journal import Intent, new_mint_id, scope_digest
from tests.apis.pair import LOGIN, MINT, Pair
from tests.support.sandbox import Fault


def test_each_api_renews_its_own_tokens_with_one_login(pair: Pair) -> None:
    pair.put_all(days=3)
    result = pair.rotate("--metrics-textfile", "rotator.prom")
    assert result.status == 0
    assert {each["action"] for each in result.json} == {"rotated"}
    assert {each["name"]: each["api"] for each in result.json} == pair.tokens
    for name in pair.apis:
        assert pair.count(name, LOGIN) == 1
        assert pair.count(name, MINT) == 2
        assert pair.count(name, ("POST", "/auth/logout", 200)) == 1
    ids = {each["name"]: each["token_id"] for each in result.json}
    assert {ids["luna"], ids["mars"]} <= pair.live_ids("eu")
    assert {ids["sol"], ids["ceres"]} <= pair.live_ids("us")
    metrics = (pair.run.folder / "rotator.prom").read_text()
    assert 'nocturna_rotator_token_info{api="eu",token="luna"} 1.0' in metrics
    assert 'nocturna_rotator_token_info{api="us",token="sol"} 1.0' in metrics


def test_one_api_that_is_away_costs_the_others_nothing(pair: Pair) -> None:
    pair.put_all(days=3)
    pair.apis["us"].misbehave(Fault.status(502), times=None)
    result = pair.rotate()
    assert result.status == 1
    actions = {each["name"]: each["action"] for each in result.json}
    assert actions == {"luna": "rotated", "mars": "rotated", "sol": "failed", "ceres": "failed"}
    assert all("API us: log in: the API" in each["error"] for each in result.json if each["error"])
    assert pair.count("us", MINT) == 0


def test_an_api_that_is_away_takes_no_turn_of_another(pair: Pair) -> None:
    pair.defaults = "at_most = 2"
    pair.write()
    for days, name in enumerate(("sol", "ceres", "luna", "mars"), 2):
        pair.put(name, days)
    pair.apis["us"].misbehave(Fault.status(502), times=None)
    wanted = {"sol": "failed", "ceres": "failed", "luna": "rotated", "mars": "rotated"}
    assert {each["name"]: each["action"] for each in pair.rotate().json} == wanted
    pair.apis["us"].behave()
    pair.put("luna", 1.5)
    result = pair.rotate()
    assert result.status == 0
    wanted = {"sol": "rotated", "ceres": "skipped", "luna": "rotated", "mars": "kept"}
    assert {each["name"]: each["action"] for each in result.json} == wanted


def test_tokens_of_an_api_that_is_away_do_not_fail_one_after_the_other(pair: Pair) -> None:
    pair.defaults = "at_most = 1"
    pair.tokens |= {"vesta": "us", "juno": "us"}
    pair.write()
    for days, name in enumerate(("sol", "ceres", "vesta", "juno", "luna", "mars")):
        pair.put(name, 1.5 + days / 2)
    pair.apis["us"].misbehave(Fault.status(502), times=None)
    actions = {each["name"]: each["action"] for each in pair.rotate().json}
    assert [actions[name] for name in ("sol", "ceres", "vesta")] == ["failed"] * 3
    assert actions["juno"] == "skipped", "three failures tell enough of an API"
    assert (actions["luna"], actions["mars"]) == ("rotated", "skipped")


def test_two_accounts_of_one_server_share_its_connections(pair: Pair) -> None:
    eu = pair.apis["us"] = pair.apis["eu"]
    eu.add_user("us@example.com", eu.admin_password, is_admin=True)
    (pair.run.folder / "us-password").write_text(eu.admin_password)
    pair.write()
    config = pair.run.folder / "rotator.toml"
    head, us, rest = config.read_text().partition('name = "us"')
    more = rest.replace("admin@", "us@", 1).replace("\n[defaults]", "connections = 1\n[defaults]")
    config.write_text(head + us + more)
    pair.put_all(days=3)
    here: list[int] = [0]
    lock = Lock()

    def enter() -> None:
        with lock:
            here.append(here[-1] + 1)
        time.sleep(0.01)  # so that others would come meanwhile

    def leave() -> None:
        with lock:
            here.append(here[-1] - 1)

    eu.misbehave(Fault(before=enter, after=leave), times=None)
    assert pair.rotate().status == 0
    assert max(here) == 1
    assert pair.count("eu", LOGIN) == 2
    assert {row.user_id for row in eu.tokens[4:]} == {row.id for row in eu.state.users.values()}


def test_a_login_that_is_refused_names_its_api(pair: Pair) -> None:
    pair.put_all(days=3)
    (pair.run.folder / "us-password").write_text("another\n")
    result = pair.run("rotate", "sol")
    assert result.status == 1
    assert "sol: API us: log in: the API refuses this e-mail and password (401)" in result.err


def test_a_password_that_is_missing_is_told_with_its_api(pair: Pair) -> None:
    (pair.run.folder / "us-password").unlink()
    result = pair.run("rotate")
    assert result.status == 2
    assert 'rotator.toml: [[api]] "us" admin_password_file: found no such file' in result.err


def test_a_mint_at_another_api_accounts_for_no_token_here(pair: Pair) -> None:
    """Both APIs have a dead mint of the same minute; one lists one token too many for its own."""
    begun = utc_now() - timedelta(minutes=10)
    left: dict[str, list[str]] = {"eu": [], "us": []}
    for token, count in (("luna", 2), ("sol", 1)):
        name = pair.tokens[token]
        intent = Intent(
            new_mint_id(), begun.replace(microsecond=0), 90, scope_digest("calculations")
        )
        pair.put(token, note=f"# rotator: v=1 intent={intent.to_text()}\n")
        for _ in range(count):
            pair.apis[name].issue(created_at=begun, expires_at=begun + timedelta(days=90))
            left[name].append(pair.apis[name].tokens[-1].id)
    [luna] = pair.rotate("luna").json
    [sol] = pair.rotate("sol").json
    assert "is left over from a mint that was cut off, and it cannot be told which" in luna["error"]
    assert set(left["eu"]) <= pair.live_ids("eu")
    assert sol["error"] is None
    assert not set(left["us"]) & pair.live_ids("us")


def test_a_token_that_moves_to_another_api_is_made_anew_there(pair: Pair) -> None:
    pair.defaults = 'retire = "now"'
    old = pair.put("luna")
    pair.tokens["luna"] = "us"
    pair.write()
    [report] = pair.rotate("luna").json
    assert report["action"] == "rotated"
    assert report["reason"] == "refused"
    assert report["token_id"] in pair.live_ids("us")
    told = pair.run("rotate", "luna", "--revoke-old").out
    assert f"; the old token {old}: API us does not list it: was it another API's, rotator" in told
    [before] = report["old_tokens"]
    assert before["message"].startswith("API us does not list it: was it another API's, rotator")
    assert old in pair.live_ids("eu")  # which the new API cannot revoke
    listed = pair.run("tokens", "list", "--api", "eu", "--json").json
    assert [(each["api"], each["token_id"], each["status"]) for each in listed] == [
        ("eu", old, "replaced")
    ]
    assert pair.run("tokens", "revoke", old).status == 0
    assert old not in pair.live_ids("eu")
