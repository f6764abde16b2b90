"""The whole examination: first everything is asked and read, then it is judged."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta

from rotator import wiring
from rotator.clock import ONE_DAY, Clock
from rotator.config.settings import Settings, TokenSettings
from rotator.doctor import checks, of_api, of_list
from rotator.doctor.checks import TokenFacts
from rotator.doctor.contact import ask_list, reach
from rotator.doctor.examined import Examined, Examiner
from rotator.doctor.findings import Finding, Result, Topic, findings
from rotator.doctor.gather import Wired, wire
from rotator.doctor.of_api import ApiFacts
from rotator.doctor.of_list import ListFacts
from rotator.errors import internal_error
from rotator.rotation.inventory import longest_rotation, side_by_side, stocked
from rotator.rotation.model import Wish
from rotator.stores.port import SecretStore


def examine(
    settings: Settings, names: Sequence[str], clock: Clock, environ: Mapping[str, str]
) -> list[Finding]:
    """Look at everything that a rotation of these tokens needs, and change nothing.

    Raises `ConfigError` for an unknown name, or when no token is configured.
    """
    wired = wire(settings, names)
    api = wiring.api_opener(settings.api, clock)
    met = reach(settings.api.url, api, clock, may_log_in=wired.may_log_in)
    begun = met.server_time(clock())
    examiner = Examiner(api, met.answers, clock, environ)

    def look(each: tuple[TokenSettings, list[SecretStore]]) -> Examined | Finding:
        try:
            return examiner.look(*each)
        except Exception as error:  # noqa: BLE001 - whatever it is, the other tokens have their turn
            message = internal_error(error)
            return Finding(Topic.INTERNAL, Result.PROBLEM, message, each[0].name)

    looks = side_by_side(look, wired.tokens)
    seen = [each for each in looks if isinstance(each, Examined)]
    found = [*_settings(wired), *findings(of_api.API_CHECKS, ApiFacts(met, _tolerance(settings)))]
    for each in looks:
        if isinstance(each, Finding):
            found.append(each)
            continue
        of_one = TokenFacts(each, met.server_time(clock()))
        found += findings(checks.TOKEN_CHECKS, of_one, each.token.name)
    if met.account:
        complete = not names and len(seen) == len(settings.tokens)
        stock = stocked([e.token.name for e in seen], [e.seen.answers for e in seen])
        of_all = ListFacts(
            ask_list(api),
            begun,
            met.account,
            seen,
            stock if complete else None,
            longest_rotation(settings),
        )
        found += findings(of_list.LIST_CHECKS, of_all)
    return found


def _settings(wired: Wired) -> Iterator[Finding]:
    for mistake in wired.wrong:
        yield Finding(Topic.SETTINGS, Result.PROBLEM, mistake)
    for doubt in wired.doubtful:
        yield Finding(Topic.SETTINGS, Result.WARNING, doubt)
    if not wired.wrong:
        yield Finding(Topic.SETTINGS, Result.OK, "the settings are complete")


def _tolerance(settings: Settings) -> timedelta:
    """Return how far a clock may be off before the new token of some setting looks wrong."""
    wishes = (Wish(token.validity, "", token.renew_before) for token in settings.tokens)
    return min((wish.tolerance for wish in wishes), default=ONE_DAY)
