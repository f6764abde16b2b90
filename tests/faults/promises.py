"""What must be true after a run with something broken, and after the next one without."""

import json
import re
from collections.abc import Iterator
from datetime import timedelta

from rotator.rotation.model import Action, StoreState
from rotator.rotation.report import Report
from rotator.stores.journal import Intent
from rotator.tokens import ServiceToken
from tests.faults.scene import Scene

_FILE = re.compile(r"A=1\n(# rotator: v=1 [^\n]+\n)?NOCTURNA_SERVICE_TOKEN=\S+\nB=2\n")
_MOMENT = timedelta(seconds=5)
_BEYOND_DOUBT = timedelta(minutes=4)  # rotation_timeout, and a minute for clocks that differ


def at_once(scene: Scene, report: Report, *, owed: bool = False) -> Iterator[str]:
    """Tell which promises are broken right after a run in which something failed.

    With `owed` an old token is rightly alive.
    """
    yield from _stores(scene)
    yield from _leaks(scene, f"{report!r} {json.dumps(report.to_json())} {scene.said.getvalue()}")
    if (
        report.error is None and not scene.lost and not owed
    ):  # what somebody else does is for the next run
        yield from (f"no failure is told, and {each}" for each in _well(scene, report))


def later(scene: Scene, *, mint_may_be_open: bool = False) -> Iterator[str]:
    """Run again with nothing broken, and tell what is not well then.

    A mint of which no answer is noted can still be under way, for all that the next run knows.
    """
    scene.world.clock.advance(_MOMENT)
    report = scene.run()
    yield from (f"2nd run: {each}" for each in _stores(scene))
    yield from (f"2nd run: {each}" for each in _well(scene, report))
    for intent in _intents(scene):
        if intent.token_id or not mint_may_be_open:
            yield f"2nd run: left open is {intent.to_text()}"
    if report.error:
        yield f"2nd run: {report.error}"


def at_last(scene: Scene) -> Iterator[str]:
    """Run once more when no request can be under way any more."""
    scene.world.clock.advance(_BEYOND_DOUBT)
    before = [scene.world.secret(file) for file in scene.files]
    report = scene.run()
    if before != [scene.world.secret(file) for file in scene.files]:
        yield "3rd run: it changed what was well"
    yield from (f"3rd run: {each}" for each in (*_stores(scene), *_well(scene, report)))
    yield from (f"3rd run: left open is {each.to_text()}" for each in _intents(scene))
    if report.error or report.action is not Action.KEPT:
        yield f"3rd run: {report.action}: {report.error}"


def _stores(scene: Scene) -> Iterator[str]:
    for file in scene.files:
        text = (scene.bots / file).read_text()
        if not _FILE.fullmatch(text):
            yield f"{file} is half written or its neighbours are: {len(text)} characters"
        if not scene.api.accepts(scene.world.secret(file)):
            yield f"{file} holds a token that the API refuses"
    if sorted(path.name for path in scene.bots.iterdir()) != sorted(scene.files):
        yield "something lies beside the stores"


def _well(scene: Scene, report: Report) -> Iterator[str]:
    held = {scene.world.secret(file) for file in scene.files}
    if len(held) > 1:
        yield "the stores hold different tokens"
    left = [row for row in scene.api.live_tokens() if row.secret not in held]
    if over := [row for row in left if row.id not in scene.lost and row.secret not in scene.lost]:
        yield f"left over are {len(over)} tokens{' (the old one)' * (over[0].secret == scene.old)}"
    for file in scene.files:
        journal = scene.world.store(file).read().journal
        if journal.pending or journal.hooks:
            yield f"{file} still says {journal.to_text()}"
    shown = ServiceToken.parse(next(iter(held))).token_id
    if not scene.lost and shown not in _told(scene):
        yield "the hook was not told of the token"
    current = any(s.status in (StoreState.WRITTEN, StoreState.CURRENT) for s in report.stores)
    if not scene.lost and current and report.token_id != shown:
        yield f"the report names {report.token_id}, and the stores hold {shown}"


def _told(scene: Scene) -> list[str]:
    return scene.told.read_text().split() if scene.told.exists() else []


def _intents(scene: Scene) -> list[Intent]:
    found = [scene.world.store(file).read() for file in scene.files]
    return [intent for each in found for intent in each.journal.intents]


def _leaks(scene: Scene, text: str) -> Iterator[str]:
    secrets = scene.api.secrets
    parts = secrets | {secret.split(".")[2] for secret in secrets if secret.count(".") == 2}
    if any(part in text for part in parts):
        yield "a secret is told"
