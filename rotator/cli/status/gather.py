"""Looks at the tokens for `rotator status`: all its I/O. It changes nothing."""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Any

from rotator import wiring
from rotator.cli.status.chain import ApiWord, Chain, Setting, StatusView
from rotator.clock import Clock
from rotator.config.settings import Settings, TokenSettings
from rotator.daemon.rows import FleetStatus, build_rows
from rotator.errors import ApiUnreachableError, RotatorError
from rotator.hooks.hooks import Hooks
from rotator.rotation.fleet import run_fleet
from rotator.rotation.model import RotationResult
from rotator.rotation.observe import provenance_of
from rotator.rotation.policy import Status
from rotator.rotation.report import Report, build_report
from rotator.rotation.rotation import Rotation
from rotator.rotation.severity import FOUR_A_DAY, with_severity
from rotator.rotation.states import Look, TokenStates
from rotator.wiring import requirements


class StatusReader:
    """Looks at a fleet, or at one token with its whole chain, as often as wanted.

    `names` are those of the tokens, empty for all; `with_chain` wants just one. With `probe` the
    API is asked whether it accepts each token; with the chain that is asked anyway, unless the
    token's settings forbid it. `describe` returns the settings of a token.
    Raises `ConfigError` for an unknown name or an unusable store URL.
    """

    def __init__(  # noqa: PLR0913 - what to show, and how
        self,
        settings: Settings,
        names: Sequence[str],
        clock: Clock,
        *,
        with_chain: bool,
        probe: bool,
        describe: Callable[[str], Sequence[Setting]],
    ) -> None:
        contexts = wiring.build_contexts(settings, clock)
        selected = wiring.open_selected(settings, names)
        self._rotations = [Rotation(*each, contexts[each[0].api]) for each in selected]
        self._tokens = [token for token, _ in selected]
        self._settings = settings
        self._with_chain = with_chain
        self._apis = {name: context.api for name, context in contexts.items()}
        self._clock = clock
        self._probe = probe
        self._describe = describe

    def read(self) -> StatusView:
        """Look at the tokens; whatever fails becomes part of the view."""
        if self._with_chain:
            return self._read_chain()
        begun = self._clock()
        reports = run_fleet(self._rotations, lambda each: each.check(probe=self._probe))
        return StatusView(self._show(reports, begun))

    def close(self) -> None:
        """End the admin's session, if there is one."""
        for api in self._apis.values():
            api.log_out()

    def _read_chain(self) -> StatusView:
        (rotation,), (token,) = self._rotations, self._tokens
        begun = self._clock()
        api = self._list(token)  # first, as it tells when others used the token
        silence = api.why_not_asked
        why_not = silence or self._why_not_asked(token)
        result = rotation.look(probe=why_not is None)
        if why_not is None:
            api = api._replace(**_judge(result))
        else:
            api = api._replace(why_not_asked=why_not)
        # Unless somebody asked for it, an API that does not answer is no failure.
        result = result._replace(error=(silence or result.error) if self._probe else None)
        fleet = self._show(
            [build_report(rotation.name, result, self._clock(), rotation.api)], begun
        )
        stores = [each.store for each in result.snapshot.reachable]
        chain = Chain(
            row=fleet.rows[0],
            settings=tuple(self._describe(rotation.name)),
            snapshot=result.snapshot,
            api=api,
            hooks=_find_hooks(token, result.snapshot.hooks),
            owners={store.url: provenance_of(store).owner for store in stores},
        )
        return StatusView(fleet, chain, is_named=True)

    def _list(self, token: TokenSettings) -> ApiWord:
        """Ask the API for its list; one that does not answer is not asked for more."""
        try:
            requirements.require_login(self._settings.api_of(token))
            rows = self._apis[token.api]().list_tokens()
        except RotatorError as error:
            silence = str(error) if isinstance(error, ApiUnreachableError) else None
            return ApiWord(why_not_asked=silence, why_not_listed=str(error))
        return ApiWord(listed={row.token_id: row for row in rows})

    def _why_not_asked(self, token: TokenSettings) -> str | None:
        if self._settings.api_of(token).url is None:
            return "the settings do not have the API's URL"
        if not token.probe and not self._probe:
            return "the settings say probe = false (--probe asks all the same)"
        return None

    def _show(self, reports: Sequence[Report], begun: datetime) -> FleetStatus:
        states, now = TokenStates(), self._clock()
        states.watch([rotation.name for rotation in self._rotations])
        for rotation, report in zip(self._rotations, reports, strict=True):
            judged = with_severity(report, rotation.renew_before, FOUR_A_DAY)
            states.record(Look(judged, begun, now))
        return FleetStatus(build_rows(states.by_name(), self._tokens, now), now)


def _judge(result: RotationResult) -> dict[str, Any]:
    """Return what the API said of the token, or why it was not asked, or said nothing."""
    if result.snapshot.current is None:
        return {"why_not_asked": "there is no token"}
    if result.verdict.status is Status.EXPIRED:
        return {"why_not_asked": "the token has expired"}
    if result.error:
        return {"why_not_asked": result.error}
    return {"accepts": result.verdict.status is not Status.REFUSED}


def _find_hooks(token: TokenSettings, owed: Collection[str]) -> dict[str, bool]:
    names = Hooks(token, {}).names
    found = {name: hook_id in owed for hook_id, name in names.items()}
    if gone := len(set(owed) - names.keys()):
        found[f"{gone} that the settings no longer have"] = True
    return found
