"""Broken installations: the doctor names fault and remedy, and a rehearsal fails as a run would."""

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

import pytest

import tests.vault.site as vault_site
from tests.backends.broken import BREAKAGES, Breakage, Installation, mount_read_only
from tests.backends.kinds import Site
from tests.backends.scene import LATER
from tests.dotenv.children import why_no_mounts
from tests.support.clock import ServersClock
from tests.support.process import Runner
from tests.support.sandbox import Fault, Sandbox
from tests.support.transcript import Transcript

NewInstallation = Callable[[str], Installation]


@pytest.fixture
def install(
    new_site: Callable[[str], Site], rotator: Runner, transcript: Transcript
) -> Iterator[NewInstallation]:
    clock = ServersClock()
    with Sandbox(clock=clock) as api:

        def new(kind: str) -> Installation:
            site = None if kind == "dotenv" else new_site(kind)
            there = Installation(rotator, api, clock, site)
            rotator.use(api)
            del rotator.env["ROTATOR_STORE"]
            secret = api.issue(days=60)
            if site:
                rotator.env |= site.variables(site.upstream)
                site.put(secret)
            else:
                there.folder.mkdir()
                (there.folder / ".env").write_text(f"A=1\nNOCTURNA_SERVICE_TOKEN={secret}\n")
                (there.folder / ".env").chmod(0o600)
            return there

        yield new
    transcript.secrets |= api.secrets


def findings(there: Installation) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = there.run("doctor", "--json").json
    return [each for each in found if each["status"] != "ok"]


@pytest.mark.sample(2)
@pytest.mark.parametrize("kind", ["dotenv", "vault", "aws", "kubernetes"])
def test_a_healthy_installation_has_no_finding_and_its_rehearsal_passes(
    install: NewInstallation, kind: str
) -> None:
    there = install(kind)
    before = there.content
    assert findings(there) == []
    result = there.run("rehearse", "--hooks", "--json")
    assert (result.status, result.json[0]["error"]) == (0, None)
    assert there.content == before


@pytest.mark.sample(6)
@pytest.mark.parametrize(
    "breakage", BREAKAGES, ids=lambda each: f"{each.script.__name__}-{each.kind}"
)
def test_a_broken_installation_is_told_before_it_matters(
    install: NewInstallation, breakage: Breakage
) -> None:
    if breakage.script is mount_read_only and why_no_mounts():
        pytest.skip(why_no_mounts())
    there = install(breakage.kind)
    with breakage.script(there) or nullcontext():
        broken, secret, live = there.content, there.secret, there.api.live_tokens()
        told = [each for each in findings(there) if each["check"] == breakage.topic]
        assert [
            each
            for each in told
            if breakage.fault in each["message"] and breakage.remedy in each["message"]
        ], [each["message"] for each in told]
        rehearsal = there.run("rehearse", "--hooks", "--json")
        (report,) = rehearsal.json
        failed = [each["step"] for each in report["steps"] if each["status"] == "failed"]
        assert tuple(failed) == breakage.steps, report["error"]
        assert rehearsal.status == (1 if breakage.steps else 0)
        assert there.content == broken
        assert there.api.live_tokens() == live
        # And so it is, when it matters.
        rotation = there.run("rotate", "--force", "--json")
        assert rotation.status == (1 if breakage.steps else 0), rotation
        if breakage.steps and "hook" not in breakage.steps and not breakage.rotates:
            assert there.secret == secret


def test_what_the_doctor_cannot_see_a_rehearsal_finds(install: NewInstallation) -> None:
    """A proxy before the API lets all calls pass but the mint, and does not say so as the API."""
    there = install("dotenv")
    before = there.content
    there.api.misbehave(Fault.html(403), "POST /auth/admin/service-tokens", times=None)
    assert findings(there) == []
    result = there.run("rehearse", "--json")
    (report,) = result.json
    assert result.status == 1
    assert [s["step"] for s in report["steps"] if s["status"] == "failed"] == ["mint"]
    assert len(there.api.live_tokens()) == 1
    # Nobody knows yet whether the mint will be done after all.
    there.clock.ahead += LATER
    assert {each["check"] for each in findings(there)} == {"clock"}
    assert there.content == before


def test_a_store_that_keeps_a_token_for_longer_than_it_lives_is_healthy(
    install: NewInstallation,
) -> None:
    there = install("vault")
    site = there.site
    assert isinstance(site, vault_site.Site)
    site.bao.call("POST", site.metadata, {"delete_version_after": "8760h"})
    site.put(str(there.secret))
    assert findings(there) == []
    assert there.run("rehearse").status == 0
