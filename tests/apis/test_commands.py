"""Commands over two APIs: all of them, or the one that is named."""

import re

import pytest

from tests.apis.pair import LIST, LOGIN, Pair
from tests.init.talk import NUMBER, RENEWAL, talking
from tests.support.sandbox import Fault


def test_the_list_has_the_tokens_of_all_apis_with_their_names(pair: Pair) -> None:
    ids = pair.put_all()
    orphan = pair.issue("us")
    result = pair.run("tokens", "list", "--json")
    assert result.status == 0
    found = {each["token_id"]: (each["api"], each["status"], each["own"]) for each in result.json}
    assert found == {
        **{ids[name]: (api, "held", True) for name, api in pair.tokens.items()},
        orphan: ("us", "orphan", True),
    }
    assert "is not in the API's list" not in result.err
    assert f"API us: {orphan}: orphan – " in pair.run("tokens", "list").out
    assert pair.run("tokens", "list", "--csv").out.startswith("api,token_id,status,")
    only = pair.run("tokens", "list", "--api", "eu", "--json")
    assert {each["api"] for each in only.json} == {"eu"}
    assert pair.count("us", LIST) == 3


def test_the_list_of_one_api_is_shown_while_the_other_is_away(pair: Pair) -> None:
    pair.put_all()
    pair.apis["us"].misbehave(Fault.status(502), times=None)
    result = pair.run("tokens", "list", "--json")
    assert result.status == 1
    assert len(result.json) == 2
    assert "API us: log in: the API is not able to answer now (502)" in result.err


def test_a_token_is_revoked_at_the_api_that_lists_it(pair: Pair) -> None:
    held = pair.put("luna")
    orphan = pair.issue("us")
    assert pair.run("tokens", "revoke", orphan).status == 0
    assert orphan not in pair.live_ids("us")
    assert pair.run("tokens", "revoke", held).status == 1
    assert pair.run("tokens", "revoke", "--force", "--api", "us", held).status == 1
    assert held in pair.live_ids("eu")
    assert pair.run("tokens", "revoke", "--force", held).status == 0
    assert held not in pair.live_ids("eu")


def test_the_doctor_examines_each_api(pair: Pair) -> None:
    pair.defaults = "probe = false"
    pair.write()
    pair.put_all()
    orphan = pair.issue("us")
    pair.apis["eu"].misbehave(Fault.refusal(401), "POST /auth/login", times=None)
    result = pair.run("doctor", "--json")
    assert result.status == 1
    found = {
        (each.get("api"), each["check"], each["status"]): each["message"]
        for each in result.json
        if not each["token"]
    }
    assert ("eu", "login", "problem") in found
    assert ("us", "login", "ok") in found
    assert orphan in found["us", "orphans", "warning"]
    assert not any(api == "eu" and check == "orphans" for api, check, _ in found)
    assert not any(each["status"] == "problem" for each in result.json if each["token"])
    assert "problem: login of eu: " in pair.run("doctor").out
    of_one = pair.run("doctor", "sol", "--json").json
    assert {each["api"] for each in of_one if "api" in each} == {"us"}


def test_the_doctor_finds_an_account_that_has_two_names(pair: Pair) -> None:
    pair.apis["us"] = pair.apis["eu"]
    pair.tokens = {"luna": "eu", "sol": "us"}
    pair.write()
    config = pair.run.folder / "rotator.toml"
    text = config.read_text()
    pair.put_all()
    result = pair.run("doctor")
    assert result.status == 2
    assert 'found the URL and the account of "eu", expected one [[api]] for both' in result.out
    head, us, rest = text.partition('name = "us"')
    config.write_text(head + us + rest.replace("127.0.0.1", "localhost", 1))
    (pair.run.folder / "us-password").write_text(pair.apis["eu"].admin_password)
    result = pair.run("doctor")
    assert result.status == 1
    assert "login of us: eu has the same account, though by another URL or e-mail" in result.out


def test_a_leak_is_one_of_one_api(pair: Pair) -> None:
    ids = pair.put_all()
    found = pair.issue("eu")
    assert "found several APIs (eu, us), expected" in pair.run("leaked", "--all", "--yes").err
    assert "expected the tokens of one" in pair.run("leaked", "luna", "sol", "--yes").err
    assert {ids[name] for name in ids} <= pair.live_ids("eu") | pair.live_ids("us")
    command = ("leaked", "--all", "--api", "eu", "--yes", "--json", "--report", "leak.md")
    before = pair.run.folder.joinpath("sol.env").read_text()
    result = pair.run(*command)
    assert pair.run.folder.joinpath("sol.env").read_text() == before
    assert result.status == 3  # the one that is left
    assert result.json["api"] == pair.apis["eu"].url
    assert "--api eu" in (pair.run.folder / "leak.md").read_text()
    assert {ids["luna"], ids["mars"]}.isdisjoint(pair.live_ids("eu"))
    assert {ids["sol"], ids["ceres"]} <= pair.live_ids("us")
    assert found in result.out
    assert pair.count("us", LOGIN) == 0


@pytest.mark.parametrize("is_moved", [False, True])
def test_what_leaked_of_the_api_that_a_token_came_from_is_told_until_it_is_revoked(
    pair: Pair,
    is_moved: bool,  # noqa: FBT001 - a case
) -> None:
    old = pair.put("luna")
    pair.tokens["luna"] = "us"
    pair.write()
    if is_moved:
        assert pair.rotate("luna").status == 0
    pair.apis["eu"].misbehave(Fault.status(502), times=None)
    for _ in range(2):
        silent = pair.run("leaked", "luna", "--yes", "--json")
        assert silent.status == 1
        assert "API eu: log in: the API is not able to answer now (502)" in silent.err
        assert "until then nobody knows whether" in silent.err
        [token] = silent.json["tokens"]
        assert {each["token_id"]: each["state"] for each in token["leaked"]}[old] == "unknown"
    pair.apis["eu"].behave()
    found = pair.run("leaked", "luna", "--yes", "--json")
    assert found.status == 1
    assert f"{old} leaked, and is one of API eu, where it lives: revoke it" in found.err
    [token] = found.json["tokens"]
    assert {each["token_id"]: each["state"] for each in token["leaked"]}[old] == "alive"
    assert token["result"]["action"] == "kept"
    assert pair.run("tokens", "revoke", "--api", "eu", old).status == 0
    assert pair.run("leaked", "luna", "--yes").status == 0


def test_the_other_apis_are_asked_for_no_token_that_its_own_lists(pair: Pair) -> None:
    pair.put_all()
    pair.apis["eu"].misbehave(Fault.status(502), times=None)
    assert pair.run("leaked", "sol", "--yes").status == 0
    assert pair.apis["eu"].calls == []


@pytest.mark.parametrize("wanted", ["report", "mint --show"])
def test_a_command_for_one_api_wants_to_know_which(pair: Pair, wanted: str) -> None:
    pair.put_all()
    result = pair.run(*wanted.split())
    assert result.status == 2
    assert "found several APIs (eu, us), expected --api with one of them" in result.err
    assert pair.print_secret(*wanted.split(), "--api", "us") == 0
    assert (pair.count("eu", LOGIN), pair.count("us", LOGIN)) == (0, 1)


def test_bots_and_monitors_ask_the_api_of_the_token(pair: Pair) -> None:
    pair.put_all()
    assert pair.print_secret("access-token", "sol") == 0
    assert pair.run("check", "--probe").status == 0
    assert pair.run("status", "sol", "--json").json["tokens"][0]["name"] == "sol"
    assert pair.run("rehearse").status == 0
    for name in pair.apis:
        assert pair.count(name, LOGIN) == (1 if name == "eu" else 2)


def test_the_settings_are_shown_with_each_api(pair: Pair) -> None:
    shown = pair.run("config", "show").out
    assert re.findall(r"(?m)^\[\[?[a-z]+\]\]?$", shown) == [
        *("[[api]]", "[[api]]", "[limits]"),
        *["[[token]]"] * 4,
    ]
    assert re.search(r'name = "eu" +# rotator.toml: \[\[api\]\] "eu"\n', shown)
    lines = pair.run("config", "show", "--json").json
    urls = {each["api"]: each["value"] for each in lines if each["key"] == "url"}
    assert urls == {name: api.url for name, api in pair.apis.items()}
    assert "api" not in next(each for each in lines if each["key"] == "store_connections")
    assert "no mistakes, 4 tokens" in pair.run("config", "check").out


def test_init_adds_a_token_to_one_of_the_apis(pair: Pair) -> None:
    given = ("init", "--store", "dotenv:new.env", "--name", "vesta")
    result = pair.run(*given)
    assert result.status == 2
    assert "init: there is no terminal to ask at: give --api" in result.err
    (pair.run.folder / "new.env").write_text("")
    assert pair.run(*given, "--api", "us").status == 0
    text = (pair.run.folder / "rotator.toml").read_text()
    assert text.endswith('[[token]]\nname = "vesta"\napi = "us"\nstores = ["dotenv:new.env"]\n')
    assert (pair.count("eu", LOGIN), pair.count("us", LOGIN)) == (0, 1)


@pytest.mark.long
def test_init_asks_for_the_api_in_a_terminal(pair: Pair) -> None:
    with talking(pair.run, "--store", "dotenv:new.env", "--name", "vesta") as screen:
        screen.wait_for("Which API has it?")
        screen.answer(NUMBER, "mars")
        screen.wait_for('no: there is no API "mars", expected one of: eu, us')
        screen.answer(NUMBER, "2")
        screen.wait_for("ok: the API accepts the e-mail and the password")
        screen.answer(RENEWAL, "")
        assert screen.end() == 0, screen.shown
    assert 'name = "vesta"\napi = "us"\n' in (pair.run.folder / "rotator.toml").read_text()


def test_the_names_of_apis_are_completed(pair: Pair) -> None:
    words = "rotator tokens list --api u"
    asked = {"_ROTATOR_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": "4"}
    assert pair.run(**asked).out.split() == ["plain,us"]
