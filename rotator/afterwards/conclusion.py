"""The last steps of a rotation: the hooks, and then the retirement of old tokens.

Both are noted in the journal before they are tried, so that a run which dies here is finished by
the next. Hooks come first: a bot that one of them could not restart may still need its old token.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import NamedTuple

from rotator.afterwards.hooks import Failure, Hooks, Occasion
from rotator.afterwards.retirement import OldState, OldToken, Retirement
from rotator.journal import Journal
from rotator.order import Order
from rotator.survey import Survey
from rotator.writing import note


class Concluded(NamedTuple):
    """What became of the old tokens, and what went wrong."""

    old_tokens: tuple[OldToken, ...] = ()
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

    def draw(self, seen: Survey, order: Order) -> Concluded:
        """Run the hooks that are due, then revoke what is owed; what fails stays noted."""
        if order.revoke_old:
            owed = self._retirement.hastened(seen)
            seen, troubles = note(seen, lambda reading: replace(reading.found.journal, owed=owed))
        else:
            troubles = []
        failures = self._hooks.run(seen.hooks, self._occasion(seen)) if seen.hooks else []
        failed = tuple(failure.hook_id for failure in failures)
        seen, unwritten = note(seen, lambda reading: _with_hooks(reading.found.journal, failed))
        old_tokens = _held_back(seen, failures) if failures else self._retirement.carry_out(seen)
        left = {old.token_id for old in old_tokens if old.state is not OldState.REVOKED}
        _, unnoted = note(seen, lambda reading: _with_owed(reading.found.journal, left))
        troubles += [failure.message for failure in failures] + unwritten + unnoted
        troubles += _old_troubles(old_tokens, order)
        if order.revoke_old and not old_tokens:
            troubles.append(
                "no older token is known that could be revoked: if the current one leaked, run"
                " rotate --force --revoke-old"
            )
        return Concluded(tuple(old_tokens), tuple(troubles))

    def _occasion(self, seen: Survey) -> Occasion:
        token = seen.current
        stores = tuple(r.store.url for r in seen.reachable if r.holds(token))
        if token is None:
            return Occasion(self._name, None, None, stores)
        return Occasion(self._name, token.token_id, token.expires_at, stores)


def _with_hooks(journal: Journal, left: Collection[str]) -> Journal:
    return replace(journal, hooks=tuple(hook for hook in journal.hooks if hook in left))


def _with_owed(journal: Journal, left: Collection[str]) -> Journal:
    return replace(journal, owed=tuple(owed for owed in journal.owed if owed.token_id in left))


def _held_back(seen: Survey, failures: Sequence[Failure]) -> list[OldToken]:
    told = f"{len(failures)} of the hooks did not work"
    return [OldToken(each.token_id, OldState.WAITING, each.due_at, told) for each in seen.owed]


def _old_troubles(old_tokens: Sequence[OldToken], order: Order) -> list[str]:
    return [
        f"the old token {old.token_id} is not revoked yet: {old.message or 'it is not due'}; the"
        " next run tries again"
        for old in old_tokens
        if old.state is OldState.FAILED or (order.revoke_old and old.state is OldState.WAITING)
    ]
