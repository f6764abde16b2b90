"""The last steps of a rotation: the hooks, and then the retirement of old tokens.

Both are noted in the journal before they are tried, so that a run which dies here is finished by
the next. Hooks come first: a bot that one of them could not restart may still need its old token.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import NamedTuple

from rotator import audit
from rotator.hooks.commands import Failure, Hooks, Occasion
from rotator.order import Order
from rotator.rotation.finish import OldState, OldToken, Retirement
from rotator.rotation.observe import Survey
from rotator.rotation.store_writes import note
from rotator.stores.journal import Journal

_NONE_OLDER = (
    "no older token is known that could be revoked: if the current one leaked, run"
    " rotate --force --revoke-old"
)
_NONE_REPLACED = (
    "the stores had no token that could be revoked: find the one that leaked with rotator tokens"
    " list, and revoke it with rotator tokens revoke ID"
)


class Concluded(NamedTuple):
    """What the stores show now, what became of old tokens, what else was done, and what failed."""

    seen: Survey
    old_tokens: tuple[OldToken, ...] = ()
    notes: tuple[str, ...] = ()
    troubles: tuple[str, ...] = ()


class Conclusion:
    """Takes the last steps for the token called `name`."""

    def __init__(self, name: str, hooks: Hooks, retirement: Retirement) -> None:
        self._name = name
        self._hooks = hooks
        self._retirement = retirement

    def is_due(self, seen: Survey, order: Order) -> bool:
        """Tell whether a look at the stores shows something to be done."""
        due = any(self._retirement.is_due(owed) for owed in seen.owed)
        return due or bool(seen.hooks) or order.revoke_old

    def draw(self, seen: Survey, order: Order, *, renewed: bool) -> Concluded:
        """Run the hooks that are due, then revoke what is owed; what fails stays noted.

        `renewed` tells whether this same run has written a token.
        """
        if order.revoke_old:
            owed = self._retirement.hastened(seen)
            seen, troubles = note(seen, lambda reading: replace(reading.found.journal, owed=owed))
            if not troubles and not set(owed) <= set(seen.owed):
                troubles.append("another rotator has replaced the token meanwhile: run again")
        else:
            troubles = []
        due = self._due_hooks(seen)
        failures = self._hooks.run(due, self._occasion(seen)) if due else []
        failed = tuple(failure.hook_id for failure in failures)
        _tell_hooks(due, failures)
        seen, unwritten = note(seen, lambda reading: _with_hooks(reading.found.journal, failed))
        old_tokens = _held_back(seen, failures) if failures else self._retirement.carry_out(seen)
        gone = {old.token_id for old in old_tokens if old.state is OldState.REVOKED}
        seen, unnoted = note(seen, lambda reading: _without_owed(reading.found.journal, gone))
        troubles += [failure.message for failure in failures] + unwritten + unnoted
        troubles += _old_troubles(old_tokens, told=bool(failures) and not order.revoke_old)
        if order.revoke_old and not old_tokens:
            troubles.append(_NONE_REPLACED if renewed else _NONE_OLDER)
        ran = len(due) - len(failures)
        notes = (f"{ran} of its hooks worked now",) if ran and not renewed else ()
        return Concluded(seen, tuple(old_tokens), notes, tuple(troubles))

    def _due_hooks(self, seen: Survey) -> tuple[str, ...]:
        """Return the hooks that are noted; all of them where one that is noted was replaced."""
        return seen.hooks if set(seen.hooks) <= set(self._hooks.ids) else self._hooks.ids

    def _occasion(self, seen: Survey) -> Occasion:
        token = seen.current
        stores = tuple(r.store.url for r in seen.reachable if r.holds(token))
        if token is None:
            return Occasion(self._name, None, None, stores)
        return Occasion(self._name, token.token_id, token.expires_at, stores, token.name)


def _tell_hooks(due: Sequence[str], failures: Sequence[Failure]) -> None:
    messages = {failure.hook_id: failure.message for failure in failures}
    for hook_id in due:
        outcome = "failed" if hook_id in messages else audit.DONE
        message = messages.get(hook_id, f"the hook {hook_id} worked")
        audit.tell(audit.Event.HOOK, message, outcome=outcome, hook=hook_id)


def _with_hooks(journal: Journal, failed: tuple[str, ...]) -> Journal:
    return replace(journal, hooks=failed if journal.hooks else ())


def _without_owed(journal: Journal, gone: Collection[str]) -> Journal:
    return replace(journal, owed=tuple(owed for owed in journal.owed if owed.token_id not in gone))


def _held_back(seen: Survey, failures: Sequence[Failure]) -> list[OldToken]:
    told = f"it may still be needed while {len(failures)} of the hooks fail"
    return [OldToken(each.token_id, OldState.WAITING, each.due_at, told) for each in seen.owed]


def _old_troubles(old_tokens: Sequence[OldToken], *, told: bool) -> list[str]:
    """Tell of the tokens that should be revoked by now, unless what is in the way is `told`."""
    return [
        f"the old token {old.token_id} is not revoked yet: {old.message}"
        for old in old_tokens
        if old.state is OldState.FAILED or (old.message and old.state is OldState.WAITING)
        if not told
    ]
