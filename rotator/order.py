"""What a run is asked to do beyond its duty."""

from dataclasses import dataclass
from datetime import timedelta

from rotator.config.settings import TokenSettings
from rotator.minting import Wish
from rotator.rotation.observe import Survey

FIRST_SCOPE = "calculations"


@dataclass(frozen=True, slots=True)
class Order:
    """An order by hand; `eternal`, `validity` and `scope` shape a new token.

    `revoke_old` says that old tokens are to be revoked now: one of them leaked.
    """

    force: bool = False
    dry_run: bool = False
    eternal: bool = False
    validity: timedelta | None = None
    scope: str | None = None
    revoke_old: bool = False

    def wish(self, settings: TokenSettings, seen: Survey) -> Wish:
        """Return the token to mint: as ordered, else as configured, else like the current one."""
        kept = seen.current.scope if seen.current else None
        scope = self.scope or settings.scope or kept or FIRST_SCOPE
        validity = None if self.eternal else self.validity or settings.validity
        # A token that is asked for by hand may be shorter than the configured margin.
        margin = timedelta() if self.validity else settings.renew_before
        return Wish(validity, scope, margin, seen.known_ids)
