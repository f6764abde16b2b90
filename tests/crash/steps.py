"""Which step of a rotation the running code belongs to, as its call stack tells."""

import inspect
from types import FrameType

ELSEWHERE = "elsewhere"
STEPS = {
    "tests.crash.victim.begin": "read",
    "tests.crash.victim.end": "end",
    "rotator.rotation.rotation.Rotation._observe": "read",
    "backends.dotenv.store.DotenvStore.hold": "hold",
    "backends.dotenv.store.DotenvStore.preflight": "preflight",
    "rotator.rotation.steps.RotationSteps._reconcile": "clear up",
    "rotator.rotation.steps.RotationSteps._copy": "copy",
    "rotator.rotation.finish.Finisher.finish": "finish",
    "rotator.rotation.observe.Decider.decide_and_probe": "decide",
    "rotator.hooks.hooks.Hooks.run": "hook",
    "rotator.cli.leaked.emergency.Emergency.examine": "examine",
    "rotator.cli.leaked.emergency.Emergency.search": "search",
    "rotator.nocturna.service_tokens.TokenApi.known_tokens": "list",
    "rotator.cli.leaked.emergency.Emergency.note": "note found",
    "rotator.cli.leaked.emergency.Emergency.revoke": "revoke found",
    "rotator.cli.leaked.report_file.ReportFile.__init__": "read",
    "rotator.cli.leaked.report_file.ReportFile.write": "report",
    "rotator.rotation.mint.MintAttempt._undo": "undo",
    "rotator.rotation.mint.request_token": "mint",
    "rotator.rotation.mint.prove_usable": "verify",
    "rotator.nocturna.service_tokens.TokenApi.log_in": "log in",
    "rotator.nocturna.service_tokens.TokenApi.log_out": "log out",
    "rotator.rotation.mint.WriteAheadIntent.write": "intend",
    "rotator.rotation.retire.Retirement._rule": "look for a use",
    "rotator.rotation.retire.Retirement._revoke": "retire",
    "rotator.rotation.mint._write_and_confirm": "promote",
    "rotator.rotation.steps._spread": "spread",
    "rotator.rotation.rehearsal.Rehearsal._log_in": "prove the right to mint",
    "rotator.rotation.rehearsal.Rehearsal._play": "read back",
    "rotator.rotation.rehearsal.Rehearsal._revoke": "revoke",
    "rotator.rotation.rehearsal.Rehearsal._remove": "remove",
    "rotator.rotation.rehearsal_leftovers.clear_up_beside": "clear up",
    "rotator.rotation.rehearsal_leftovers.clear_up": "clear up",
}


def current_step() -> str:
    """Return the innermost step; `elsewhere` shows that a function of this table was renamed."""
    frame = inspect.currentframe()
    while frame:
        step = STEPS.get(f"{frame.f_globals.get('__name__')}.{frame.f_code.co_qualname}")
        if step:
            return _of_two(frame) if step == "intend" else step
        frame = frame.f_back
    return ELSEWHERE


def _of_two(frame: FrameType) -> str:
    # The record is written twice, and what differs is only what it knows.
    return "note answer" if frame.f_locals["self"].intent.token_id else "intend"
