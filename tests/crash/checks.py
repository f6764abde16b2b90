"""What must be true between a death and the recovery, and after the recovery."""

from collections.abc import Iterator

from tests.crash.envfiles import attributes
from tests.crash.scene import Scene
from tests.support.process import Result

# The API's clock was set ahead, so that the killed one counts as dead; or its token is waited for.
_USUAL = ("this machine's clock is", "waiting for a rotation that is under way or was cut off")


def while_dead(scene: Scene) -> Iterator[str]:
    """Say which bots have no working token."""
    for file in scene.files:
        if not scene.api.accepts(file.token(scene.bots)):
            yield f"{file.name} shows no token that works"


def recovered(scene: Scene, result: Result, *, settled: bool) -> Iterator[str]:
    """Say what is not in order after a run that was to bring everything into order.

    An intent whose mint was not heard of may stay unless `settled` is asked for: its request can
    still be under way, and reach the server until rotation_timeout and a minute are over. It does
    no harm; were it taken out, the token of that request would be left over for ever.
    """
    yield from _told(scene, result)
    tokens = {file.token(scene.bots) for file in scene.files}
    if len(tokens) != 1:
        yield f"the stores hold {len(tokens)} different tokens"
    live = {row.secret: row.id for row in scene.api.live_tokens()}
    for secret in tokens - live.keys():
        yield "a dead token is stored" + (", the old one" if secret == scene.old_token else "")
    for secret in live.keys() - tokens:
        yield "a live token is left over" + (", the old one" if secret == scene.old_token else "")
    for token in tokens:
        if live.get(token) not in scene.hooked:
            yield "the hook never heard of the token that is stored"
    yield from _noted(scene, settled=settled)
    yield from _changed(scene)
    scene.transcript.secrets |= scene.api.secrets
    for origin in scene.transcript.leaks():
        yield f"a secret came out: {origin}"


def _told(scene: Scene, result: Result) -> Iterator[str]:
    if result.status not in scene.good_ends:
        yield f"the recovering run ended with {result.status}"
    lines = [line for line in result.err.splitlines() if not any(each in line for each in _USUAL)]
    if lines:
        yield f"it says: {lines}"


def _noted(scene: Scene, *, settled: bool) -> Iterator[str]:
    for file in scene.files:
        journal = file.journal(scene.bots)
        if journal.pending or journal.hooks:
            yield f"{file.name} says that there is more to do: {journal.to_text()}"
        for intent in journal.intents:
            if settled or intent.token_id:
                yield f"{file.name} has an open intent: {intent.to_text()}"


def _changed(scene: Scene) -> Iterator[str]:
    kept = attributes(scene.bots)
    if kept != scene.attributes:
        yield f"names or attributes of the files changed: {scene.attributes} became {kept}"
    for file in scene.files:
        if not scene.is_as_it_was(file):
            yield f"{file.name} has other changes than token and note"
