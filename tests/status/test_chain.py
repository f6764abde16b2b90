"""`rotator status NAME`: the whole chain of one token, on terminals of both widths and as JSON."""

import re
from datetime import timedelta

import pytest
import requests

from rotator.clock import minute, utc_now
from rotator.stores.journal import Disuse, Journal, PendingRevocation
from tests.status import fleet
from tests.status.screen import has_fitting_lines, show
from tests.support.process import Runner
from tests.support.sandbox import Fault, Sandbox
from tests.support.waiting import PATIENCE
from tests.support.world import EXCHANGE

LIST = "GET /auth/admin/service-tokens"
PROBE = f"POST {EXCHANGE}"
TITLES = ["settings", "stores", "journal", "the API", "hooks", "old tokens", "next"]
TOML = """
[defaults]
retire = "1d"
[[token]]
name = "luna-bot"
stores = ["dotenv:a.env", "dotenv:b.env"]
renew_before = "14d"
hooks = [["true", "--quiet"], ["false"]]
"""


@pytest.fixture
def luna(rotator: Runner, api: Sandbox) -> tuple[str, str]:
    """A token that was just renewed, with a hook that failed; the ids of the old and the new one.

    Somebody has used the old one since.
    """
    old = api.issue(days=3)
    fleet.put(rotator.folder, "a.env", old)
    (rotator.folder / "rotator.toml").write_text(TOML)
    del rotator.env["ROTATOR_STORE"]
    assert rotator("rotate").status == 1
    bearer = {"Authorization": f"Bearer {old}"}
    assert (
        requests.post(f"{api.url}{EXCHANGE}", headers=bearer, timeout=PATIENCE).status_code == 200
    )
    return api.tokens[0].id, api.tokens[-1].id


def in_one_line(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("columns", [80, 200])
def test_the_whole_chain_is_in_one_view(
    rotator: Runner, luna: tuple[str, str], columns: int
) -> None:
    old, new = luna
    shown = show(rotator, "status", "luna-bot", columns=columns)
    assert shown.status == 1
    assert has_fitting_lines(shown, columns)
    assert re.match(r"! unfinished  luna-bot  █+  (90|89) days left$", shown.lines[0])
    assert [line for line in shown.lines if line in TITLES] == TITLES
    text = in_one_line(shown.text)
    folder = rotator.folder.resolve()
    for fact in (
        "1 hook is to be repeated as of",
        'renew_before 14d (rotator.toml: [[token]] "luna-bot")',
        "retire 1d (rotator.toml: [defaults])",
        "validity 90d (default)",
        "admin_email … (environment: NOCTURNA_ADMIN_EMAIL)",
        'hooks [["true", "…"], ["false"]]',
        f"✓ current dotenv://{folder}/a.env",
        f"✓ current dotenv://{folder}/b.env",
        f"token {new}, minted 20",
        f"replaced {old}",
        "open nothing",
        "✓ exchange the API accepts the token",
        "scope calculations",
        '✓ not owed hook 1 ("true")',
        '! owed hook 2 ("false") has not worked since the last rotation',
        f"waiting {old}; to be revoked 20",
        "next run the hooks that have not worked are repeated",
        f"the old token {old} is revoked (20",
        "it becomes due, and the next run renews it (20",
        "it expires, if nothing renews it (20",
    ):
        assert fact in text
    assert re.search(rf"waiting {old}; .* \(in 1 day|23 hours\); last used 20", text)


def test_a_pipe_gets_a_line_for_each_fact(
    rotator: Runner, api: Sandbox, luna: tuple[str, str]
) -> None:
    before = len(api.calls)
    result = rotator("status", "luna-bot")
    first, *facts = result.out.splitlines()
    assert first.startswith("luna-bot: unfinished – 1 hook is to be repeated; owed: ")
    assert {fact.split(": ")[1] for fact in facts} == set(TITLES)
    assert f"luna-bot: journal: replaced: {luna[0]}" in facts
    assert "luna-bot: the API: exchange: the API accepts the token" in facts
    calls = [(method, path) for method, path, _ in api.calls[before:]]
    assert calls == [
        ("POST", "/auth/login"),
        ("GET", "/auth/admin/service-tokens"),  # before our own exchange counts as a use
        ("POST", EXCHANGE),
        ("POST", "/auth/logout"),
    ]


def test_the_same_is_in_the_json(rotator: Runner, luna: tuple[str, str]) -> None:
    old, new = luna
    (token,) = rotator("status", "luna-bot", "--json").json["tokens"]
    chain = token["chain"]
    settings = {each["key"]: (each["value"], each["place"]) for each in chain["settings"]}
    assert settings["validity"] == ("90d", None)
    assert settings["renew_before"] == ("14d", 'rotator.toml: [[token]] "luna-bot" renew_before')
    assert [store["journal_token_id"] for store in chain["stores"]] == [new, new]
    assert (chain["journal"]["token_id"], chain["journal"]["previous_token_id"]) == (new, old)
    assert (chain["api"]["accepts"], chain["api"]["listed"]) == (True, True)
    assert [hook["owed"] for hook in chain["hooks"]] == [False, True]
    (ancestor,) = chain["ancestors"]
    assert (ancestor["token_id"], ancestor["listed"]) == (old, True)
    assert ancestor["last_used_at"]
    (known,) = rotator("status", "--json").json["tokens"]
    assert list(token) == [*known, "chain"]


def test_a_token_that_the_api_refuses_is_told(rotator: Runner, api: Sandbox) -> None:
    rotator.write_env(api.issue(days=60))
    api.revoke(api.tokens[-1].id)
    result = fleet.look(rotator, "default")
    assert not result.is_well
    assert "the API: exchange: the API does not accept the token" in result.out
    assert "the API: list: the token is not in it: it was revoked" in result.out
    assert "next: next run: it is renewed" in result.out


def test_an_api_that_does_not_answer_is_asked_once_and_no_failure(
    rotator: Runner, api: Sandbox
) -> None:
    rotator.write_env(api.issue(days=60))
    dead = "http://127.0.0.1:9/api"
    result = fleet.look(rotator, "default", NOCTURNA_API_URL=dead)
    assert result.is_well
    silent = "not known: log in: nothing listens at the API's address"
    assert f"the API: exchange: {silent}" in result.out
    assert f"the API: list: {silent}" in result.out
    assert not fleet.look(rotator, "default", probe=True, NOCTURNA_API_URL=dead).is_well


def test_an_api_whose_exchange_fails_still_shows_its_list(rotator: Runner, api: Sandbox) -> None:
    rotator.write_env(api.issue(days=60))
    api.misbehave(Fault.refusal(403), PROBE, times=None)
    result = fleet.look(rotator, "default")
    assert result.is_well
    assert "the API: exchange: not known: " in result.out
    assert "the API: list: minted " in result.out


def test_who_has_no_admin_still_learns_whether_the_token_works(
    rotator: Runner, api: Sandbox
) -> None:
    rotator.write_env(api.issue(days=60))
    result = fleet.look(rotator, "default", NOCTURNA_ADMIN_EMAIL="")
    assert result.is_well
    assert "the API: exchange: the API accepts the token" in result.out
    assert (
        "the API: list: not known: environment: NOCTURNA_ADMIN_EMAIL: found nothing" in result.out
    )


def test_settings_without_an_api_are_no_failure(rotator: Runner, api: Sandbox) -> None:
    rotator.write_env(api.issue(days=60))
    result = fleet.look(rotator, "default", NOCTURNA_API_URL="")
    assert result.is_well
    assert "exchange: not known: the settings do not have the API's URL" in result.out
    assert api.calls == []


def test_a_token_that_is_not_to_be_probed_is_probed_only_if_asked_for(
    rotator: Runner, api: Sandbox
) -> None:
    rotator.write_env(api.issue(days=60))
    text = '[[token]]\nname = "luna"\nprobe = false\nstores = ["dotenv:.env"]\n'
    (rotator.folder / "rotator.toml").write_text(text)
    del rotator.env["ROTATOR_STORE"]
    result = fleet.look(rotator, "luna")
    assert "exchange: not known: the settings say probe = false" in result.out
    assert ("POST", EXCHANGE, 200) not in api.calls
    assert "the API accepts the token" in fleet.look(rotator, "luna", probe=True).out


def test_an_eternal_token_and_one_that_is_missing_have_a_chain_too(
    rotator: Runner, api: Sandbox
) -> None:
    missing = show(rotator, "status", "default")
    assert (missing.status, "no token" in missing.lines[0]) == (1, True)
    assert "exchange  not known: there is no token" in missing.text
    rotator.write_env(api.issue(eternal=True))
    for columns in (40, 80):
        eternal = show(rotator, "status", "default", columns=columns)
        assert eternal.status == 0
        assert eternal.lines[0].count("never expires") == 1
        assert [line for line in eternal.lines if line in TITLES] == TITLES


def test_what_a_dead_run_left_is_told(rotator: Runner, api: Sandbox) -> None:
    note = "# rotator: v=1 intent=0123456789ab/2026-11-23T09:12:33Z/90/deadbeef hook=0123abcd\n"
    secret = api.issue(days=60)
    rotator.env_file.write_text(f"{note}NOCTURNA_SERVICE_TOKEN={secret}\n")
    result = fleet.look(rotator, "default")
    assert not result.is_well
    assert "default: journal: token: none that a rotator wrote" in result.out
    assert f"default: journal: in the stores: {api.tokens[-1].id}" in result.out
    began = "a mint that began 2026-11-23 09:12 UTC"
    assert f"default: journal: open: {began}" in result.out
    assert "default: hooks: owed: 1 that the settings no longer have" in result.out
    assert "default: next: next run: what came of a mint that was cut off is settled" in result.out


def test_a_token_that_was_minted_after_a_leak_says_so(rotator: Runner, api: Sandbox) -> None:
    secret, old = api.issue(days=60), fleet.OLD_ID
    note = f"# rotator: v=1 token={api.tokens[-1].id} leak=2026-11-23T09:12:33Z"
    rotator.env_file.write_text(f"{note} leaked={old}@eternal\nNOCTURNA_SERVICE_TOKEN={secret}\n")
    told = f"minted as these had leaked: {old}; none was made before 2026-11-23 09:12 UTC"
    shown = fleet.look(rotator, "default").out
    assert f"journal: leak: {told}" in shown
    assert f"old tokens: revoked: {old}; the API no longer lists it" in shown


def test_an_old_token_that_is_still_used_is_named(rotator: Runner, api: Sandbox) -> None:
    secret, old, day = api.issue(days=60), fleet.OLD_ID, timedelta(days=1)
    since = utc_now().replace(microsecond=0) - day / 2
    disuse = Disuse(day, is_bounded=True, since=since, used_at=since + day / 4)
    pending = PendingRevocation(old, since + 30 * day, disuse)
    journal = Journal(api.tokens[-1].id, old, since, pending=(pending,))
    rotator.env_file.write_text(
        f"# rotator: {journal.to_text()}\nNOCTURNA_SERVICE_TOKEN={secret}\n"
    )
    used = f"it was last used {minute(since + day / 4)}, though dotenv://"
    assert f"; laggard: {old}: {used}" in fleet.look(rotator, None).out
    (line,) = re.findall(r"old tokens: (.*)", fleet.look(rotator, "default").out)
    assert line.startswith(f"in-use: {old}; to be revoked 20")
    assert re.search(r"\(in 1[78] hours\) if it is unused until then; at the latest 20", line)
    assert "(in 29 days); it was last used 20" in line


def test_stores_that_are_empty_behind_or_away_are_told(rotator: Runner, api: Sandbox) -> None:
    fleet.put(rotator.folder, "a.env", api.issue(days=60))
    fleet.put(rotator.folder, "b.env", api.issue(days=30))
    rotator.env["ROTATOR_STORE"] = "dotenv:a.env dotenv:b.env dotenv:c.env dotenv:nowhere/.env"
    glance = fleet.look(rotator, None).out
    assert re.search(r"; behind: \S+/b\.env; no token in: \S+/c\.env", glance)
    lines = fleet.look(rotator, "default").out.splitlines()
    stores = [line.removeprefix("default: stores: ") for line in lines if "t: stores: " in line]
    folder = rotator.folder.resolve()
    assert stores[:3] == [
        f"current: dotenv://{folder}/a.env",
        f"behind: dotenv://{folder}/b.env; holds another token than the current one",
        f"absent: dotenv://{folder}/c.env",
    ]
    assert stores[3].startswith(f"unreachable: dotenv://{folder}/nowhere/.env; ")
