"""The command line of `rotator tokens`."""

from pathlib import Path

import click

from rotator.cli import options


@click.group()
def tokens() -> None:
    """See and revoke service tokens at the API."""


@tokens.command("list")
@options.as_json
@options.configured
def list_tokens(config: Path | None, log_format: str, *, as_json: bool) -> int:
    """List the API's service tokens, and the stores that hold each.

    Sorted by expiry. A token is held by a store; replaced, but remembered beside the one that
    replaced it; minting, while a rotation is under way or was cut off; expired; or an orphan: live,
    and in no store of the config. Of an orphan of your admin account find out who uses it, before
    you revoke it. While a store does not answer, orphans are unknown.

    Exits 0 when all is told, 1 when the API or a store does not answer, 2 when the settings are
    wrong.
    """
    from rotator.cli.tokens import show_tokens  # noqa: PLC0415 - for this command alone

    return show_tokens(options.begin(config, log_format), as_json=as_json)


@tokens.command()
@click.argument("token_id", metavar="ID")
@click.option("--force", is_flag=True, help="Revoke it even if a store holds it, or may hold it.")
@options.configured
def revoke(token_id: str, config: Path | None, log_format: str, *, force: bool) -> int:
    """Revoke a service token by its id.

    The whole id is wanted, as rotator tokens list shows it. A token that a store of the config
    holds is not revoked without --force: its bot would be cut off. Revoking stops the exchange
    only; as a direct bearer a token works until it expires.

    Exits 0 when it is revoked, 1 when it is not, 2 when the settings or the id are wrong.
    """
    from rotator.cli.tokens import revoke_token  # noqa: PLC0415 - for this command alone

    return revoke_token(options.begin(config, log_format), token_id, force=force)
