"""What a change of one token came to, and how its report tells of it."""

from typing import NamedTuple

from rotator.rotation.finish import OldState, OldToken
from rotator.rotation.model import Action, Report, StoreReport
from rotator.rotation.observe import Survey
from rotator.rotation.policy import Verdict
from rotator.tokens import ServiceToken


class Done(NamedTuple):
    """What a change came to; `action` is None where the token is to be left as it is.

    `seen` is what it decided by, and `after` what stands there at the end. `notes` tell what was
    finished of earlier runs, `troubles` what could not be, and `failure` is the kind of the error
    that ended it. `not_begun` says that another rotator's intent came first.
    """

    seen: Survey
    verdict: Verdict
    action: Action | None = None
    token: ServiceToken | None = None
    written: tuple[StoreReport, ...] = ()
    old_tokens: tuple[OldToken, ...] = ()
    notes: tuple[str, ...] = ()
    troubles: tuple[str, ...] = ()
    failure: str | None = None
    not_begun: bool = False
    after: Survey | None = None

    def told_in(self, report: Report) -> Report:
        """Return the report with old tokens, what else was done, and what else went wrong."""
        all_of_it = [*((report.error,) if report.error else ()), *self.troubles]
        failure = self.failure or report.failure or ("unfinished" if self.troubles else None)
        failed = [old for old in self.old_tokens if old.state is OldState.FAILED]
        after = self.after or self.seen
        return report._replace(
            old_tokens=self.old_tokens,
            notes=self.notes,
            error="; ".join(dict.fromkeys(all_of_it)) or None,
            failure=failure,
            orphans=len(after.intents) + len(failed),
            hooks_left=len(after.hooks),
        )
