"""Rehearsals in stores behind a server: bots notice nothing, nothing is left, whoever is killed."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import tests.aws.site as aws_site
import tests.kubernetes.site as kubernetes_site
import tests.vault.site as vault_site
from tests.aws.parameters import ParameterSite
from tests.backends.conftest import KINDS, MANY_KINDS
from tests.backends.kinds import Site
from tests.backends.scene import Scene
from tests.backends.test_four_stores import CONFIG
from tests.command.site import CommandSite
from tests.support.crew import Crew
from tests.support.forked import Job
from tests.support.process import Runner
from tests.support.sandbox import Sandbox
from tests.support.world import EXCHANGE

MOST = 60


def whole(site: Site) -> object:
    """Return all that is kept there, but for what counts changes."""
    match site:
        case vault_site.Site():
            return site.fields(), site.notes()
        case aws_site.Site():
            labels = ("AWSCURRENT", "AWSPREVIOUS")
            stages = {
                label for each in site.about()["VersionIdsToStages"].values() for label in each
            }
            return site.tags(), stages, [(site.version(each), site.text(each)) for each in labels]
        case kubernetes_site.Site():
            found: dict[str, Any] = json.loads(json.dumps(site.whole()))
            for name in ("resourceVersion", "managedFields"):
                found["metadata"].pop(name, None)
            return found
        case ParameterSite():
            return site.neighbours(), site.tags(), site.versions()
        case CommandSite():
            with site.server.changing:
                return dict(site.server.kept)
    raise AssertionError


@pytest.fixture
def settled(site: Site, rotator: Runner, api: Sandbox) -> Site:
    """Rotate twice, so that there is a journal, and something that was replaced."""
    site.put(api.issue(days=3))
    rotator.use(api, site.store_url)
    rotator.env |= site.variables(site.upstream)
    for _ in range(2):
        assert rotator("rotate", "--force").status == 0
    return site


@pytest.mark.sample(2)
@pytest.mark.parametrize("site", [*KINDS, "command", "aws-ssm"], indirect=True)
def test_a_rehearsal_leaves_everything_as_it_was(
    settled: Site, rotator: Runner, api: Sandbox
) -> None:
    before, made = whole(settled), len(api.tokens)
    result = rotator("rehearse", "--json")
    assert (result.err, result.status) == ("", 0)
    (report,) = result.json
    assert (report["status"], report["error"]) == ("passed", None)
    assert [each["step"] for each in report["steps"]] == [
        *("read", "preflight", "login", "intend", "mint", "verify", "write", "read-back"),
        *("exchange", "note", "revoke", "remove"),
    ]
    assert whole(settled) == before
    assert len(api.tokens) == made + 1
    assert api.tokens[-1].id == report["token_id"]
    assert api.tokens[-1] not in api.live_tokens()


def test_a_token_in_four_stores_is_rehearsed_in_each(
    new_site: Callable[[str], Site], rotator: Runner, api: Sandbox
) -> None:
    sites = [new_site(kind) for kind in KINDS]
    rotator.write_env(old := api.issue(days=60))
    stores = ["dotenv:.env", *(site.store_url for site in sites)]
    (rotator.folder / "rotator.toml").write_text(CONFIG.format(json.dumps(stores)))
    del rotator.env["ROTATOR_STORE"]
    for site in sites:
        site.put(old)
        rotator.env |= site.variables(site.upstream)
    before = [whole(site) for site in sites]
    result = rotator("rehearse", "--json")
    (report,) = result.json
    assert (result.status, report["error"]) == (0, None)
    for step in ("read", "preflight", "write", "read-back", "note", "remove"):
        assert len({s["store"] for s in report["steps"] if s["step"] == step}) == len(stores)
    assert [whole(site) for site in sites] == before
    assert [row.secret for row in api.live_tokens()] == [old]


@pytest.mark.parametrize("kind", ["vault", "aws", "kubernetes"])
def test_a_secret_that_is_not_there_is_not_made(
    new_site: Callable[[str], Site], rotator: Runner, api: Sandbox, kind: str
) -> None:
    site = new_site(kind)
    url, creating = site.store_url, "&create=true"
    match site:
        case aws_site.Site():
            site.name = "bots/missing"
            url = f"aws-secretsmanager://bots/missing?region={aws_site.REGION}{creating}#TOKEN"
        case kubernetes_site.Site():
            site.delete()
            url = url.replace("#", f"?{creating[1:]}#")
    rotator.use(api, url)
    rotator.env |= site.variables(site.upstream)
    result = rotator("rehearse", "--json")
    (report,) = result.json
    assert result.status == 1
    assert api.tokens == []
    match site:
        case vault_site.Site():
            assert "there is no secret yet; rotator rotate makes it" in report["error"]
            assert (site.fields(), site.notes()) == ({}, {})
        case kubernetes_site.Site():
            assert site.whole() is None
    assert report["error"].endswith("; nothing was minted")


class Rehearsals(Scene):
    victim = ("rehearse",)


@pytest.mark.parametrize("site", MANY_KINDS, indirect=True)
@pytest.mark.parametrize("recovery", ["rotate", pytest.param("rehearse", marks=pytest.mark.long)])
def test_the_next_run_removes_what_a_killed_rehearsal_left(
    site: Site,
    rotator: Runner,
    crew: Crew,
    recovery: str,
    moments: Iterator[int],
) -> None:
    problems = []
    for number in moments:
        with Rehearsals(site, rotator, crew) as scene:
            before = whole(site)
            killed = scene.kill_after(number)
            if site.secret() != scene.old_token:
                problems.append(f"{number} {killed}: the bot has another token")
            if killed is None:
                assert whole(site) == before
                break
            problems += [f"{number} {killed}: {each}" for each in _left(scene, recovery)]
        assert number < MOST
    assert problems == []
    assert number > 8


def _left(scene: Scene, recovery: str) -> Iterator[str]:
    result = scene.run(recovery)
    if result.status != 0 or result.err:
        yield f"{recovery} ended with {result.status} and says {result.err!r}"
    live = [row.secret for row in scene.api.live_tokens()]
    if live != [scene.site.secret()]:
        yield f"{len(live)} tokens live, of which one is in use"
    if scene.site.neighbours() != scene.neighbours:
        yield "something is left in the store"


@pytest.mark.parametrize("site", MANY_KINDS, indirect=True)
def test_two_rehearsals_and_a_rotation_at_once_do_no_harm(
    settled: Site, rotator: Runner, api: Sandbox, crew: Crew
) -> None:
    neighbours = settled.neighbours()
    for number in range(3):
        commands = [("rehearse",), ("rotate", "--force", "--revoke-old"), ("rehearse",)]
        jobs = []
        for name, arguments in enumerate(commands):
            folder = rotator.folder / f"round-{number}-{name}"
            folder.mkdir()
            jobs.append(crew.start(Job(str(folder), arguments, rotator.env)))
        results = [job.result() for job in jobs]
        assert [result.status for result in results] == [0, 0, 0], results
        (survivor,) = api.live_tokens()
        assert settled.secret() == survivor.secret
        assert settled.neighbours() == neighbours
    assert sum(path.endswith(EXCHANGE) for _, path, _ in api.calls) > 0
