"""What a call that goes wrong answers with may hold a secret: no form of the output shows it."""

from dataclasses import replace

import pytest

from tests.support.clock import ServersClock
from tests.support.process import Runner
from tests.support.sandbox import Fault, Sandbox
from tests.support.transcript import Transcript

CALLS = [
    "POST /auth/login",
    "POST /auth/admin/service-tokens",
    "POST /auth/service-token/refresh",
    "DELETE /auth/admin/service-tokens/{id}",
]
FORMS: tuple[list[str], ...] = ([], ["--json"], ["--log-format", "json"])
FAULTS = [Fault.server_error(), Fault.status(422), Fault.truncated(), Fault.redirect("http://x/")]


@pytest.mark.sample(2)
@pytest.mark.parametrize("call", CALLS)
def test_faults_of_every_call_are_told_without_a_secret(
    rotator: Runner, transcript: Transcript, call: str
) -> None:
    clock = ServersClock()
    with Sandbox(clock=clock) as api:
        rotator.use(api)
        for fault in FAULTS:
            rotator.write_env(api.issue(days=3))
            results = []
            for form in FORMS:
                api.misbehave(replace(fault, after=clock.pass_by), call, times=None)
                if call.startswith("DELETE"):
                    api.misbehave(Fault.refusal(401), "POST /auth/service-token/refresh")
                results.append(rotator("rotate", *form))
                api.behave()
            assert results[0].status == 1
            assert not [r for r in results if "Traceback" in r.out + r.err]
        transcript.secrets |= api.secrets
