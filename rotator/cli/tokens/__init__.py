"""`rotator tokens`: the API's service tokens beside the stores that hold them."""

from datetime import timedelta

import click

from rotator.cli import options
from rotator.cli.tokens.listing import Filter, ListFormat, show_tokens
from rotator.cli.tokens.revocation import revoke_tokens
from rotator.clock import parse_duration
from rotator.config.settings import Settings


@options.examples(
    "rotator tokens list",
    "rotator tokens revoke 6d927cbd-b25b-45ef-a034-49c1e2d79a3a",
)
@click.group("tokens")
def command() -> None:
    """List and revoke the API's service tokens."""


@options.examples(
    "rotator tokens list --orphans",
    "rotator tokens list --unused 30d --csv > tokens.csv",
)
@command.command("list")
@click.option("--orphans", is_flag=True, help="Only live tokens that no store holds.")
@click.option(
    "--unused",
    type=options.Parsed("duration", parse_duration),
    metavar="DURATION",
    help="Only tokens that nobody has used for that long, such as 30d.",
)
@options.api
@options.as_json
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV for a spreadsheet.")
@options.configured
def list_(  # noqa: PLR0913 - one per option
    settings: Settings,
    *,
    orphans: bool,
    unused: timedelta | None,
    api: str | None,
    as_json: bool,
    as_csv: bool,
) -> int:
    """List the API's service tokens, and the stores that hold each.

    Sorted by expiry. A token is held by a store; replaced, and still in a store's journal; minting,
    while a rotation is under way or was cut off; expired; or an orphan: live, and in no store of
    the config. While a store does not answer, orphans are unknown, and so is a token that is too
    young to tell. Before you revoke an orphan of your admin account, find out who uses it. The
    rotator's own checks count as a use of the current token.

    Exits 0 when the list is complete, 1 when the API or a store does not answer, 2 when the
    settings are wrong.
    """
    if as_json and as_csv:
        raise click.UsageError("--json and --csv exclude each other.")
    form = ListFormat.JSON if as_json else ListFormat.CSV if as_csv else ListFormat.TEXT
    return show_tokens(settings, form, Filter(orphans=orphans, unused=unused), api)


@options.examples(
    "rotator tokens revoke 6d927cbd-b25b-45ef-a034-49c1e2d79a3a",
    "rotator tokens revoke --force 6d927cbd-b25b-45ef-a034-49c1e2d79a3a",
)
@command.command()
@click.argument("token_ids", metavar="ID...", nargs=-1, required=True)
@click.option("--force", is_flag=True, help="Revoke it even if a store holds it, or may hold it.")
@options.api
@options.configured
def revoke(settings: Settings, token_ids: tuple[str, ...], *, force: bool, api: str | None) -> int:
    """Revoke service tokens by their ids.

    Takes whole ids, as rotator tokens list shows them. A token that a store of the config holds is
    not revoked without --force: its bot would be cut off. If one of several is held, none of them
    is revoked. Revoking only stops the exchange; as a direct bearer the token works until it
    expires.

    Exits 0 when all are revoked, 1 when one is not, also because the API lists no such id, 2 when
    the settings are wrong or a text can be no id.
    """
    return revoke_tokens(settings, token_ids, force=force, name=api)
