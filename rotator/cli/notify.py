"""`rotator notify`: proves that notices arrive."""

import logging
import os

import click

from rotator.cli import exit_codes, options, output
from rotator.config.settings import Label, NoticeEvent, Secret, Settings
from rotator.errors import ConfigError
from rotator.hooks.hooks import clean_environ
from rotator.hooks.notify import Notice, NoticeKind, send_notice
from rotator.wiring import requirements, selection

_BODY = "This is a test by rotator notify --test. No token was renewed, and nobody has to act."
_log = logging.getLogger(__name__)


@options.examples("rotator notify --test", "rotator notify --test luna-bot")
@click.command("notify", short_help="Send a test notice to every URL.")
@options.names
@options.labels
@click.option("--test", is_flag=True, required=True, help="Send a test.")
@options.configured
def command(
    settings: Settings,
    names: tuple[str, ...],
    *,
    labels: tuple[Label, ...],
    test: bool,  # noqa: ARG001 - so that nobody sends notices by accident
) -> int:
    """Send a test notice to each URL of the tokens, whatever notify_on says.

    A webhook (json://, jsons://) gets "event": "test". A URL is named by its place in the settings:
    it holds credentials.

    Exits 0 when all were sent, 1 when one was not, 2 when the settings are wrong or have no URL.
    """
    requirements.require_notices(settings)
    chosen = selection.select(settings, selection.choose(settings, names, labels))
    urls: dict[str, Secret] = {}
    for url in (url for token in chosen for url in token.notify):
        urls.setdefault(url.get(), url)
    if not urls:
        raise ConfigError(
            "notify: found no URL to send a notice to, expected notify = [...] in a [[token]], in"
            " [defaults], or the variable ROTATOR_NOTIFY"
        )
    notice = Notice("rotator: test", _BODY, NoticeKind.SUCCESS, NoticeEvent.TEST)
    faults = send_notice(list(urls.values()), notice, clean_environ(os.environ))
    for url, fault in zip(urls.values(), faults, strict=True):
        if fault:
            _log.error("%s", fault)
        else:
            output.write(f"{url.origin}: sent\n")
    return exit_codes.FAILED if any(faults) else exit_codes.OK
