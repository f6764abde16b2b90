"""Looks at the tokens for `rotator status`: all its I/O. It changes nothing."""

from collections.abc import Sequence

from rotator.clock import Clock
from rotator.config.settings import TokenSettings
from rotator.rotation.fleet import run_fleet
from rotator.rotation.rotation import Rotation
from rotator.rotation.severity import FOUR_A_DAY, with_severity
from rotator.rotation.states import Look, TokenStates
from rotator.status.rows import FleetStatus, build_rows


def look_at_fleet(
    rotations: Sequence[Rotation], tokens: Sequence[TokenSettings], clock: Clock, *, probe: bool
) -> FleetStatus:
    """Read the stores of these tokens, and with `probe` ask the API whether it accepts each."""
    states = TokenStates()
    states.watch([rotation.name for rotation in rotations])
    begun = clock()
    reports = run_fleet(rotations, lambda rotation: rotation.check(probe=probe))
    now = clock()
    for rotation, report in zip(rotations, reports, strict=True):
        judged = with_severity(report, rotation.renew_before, FOUR_A_DAY)
        states.record(Look(judged, begun, now))
    return FleetStatus(build_rows(states.by_name(), tokens, now), now)
