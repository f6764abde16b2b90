"""The stores of tokens for those who only read them: bare files are among them."""

from collections.abc import Sequence

from rotator import wiring
from rotator.config.settings import Settings, TokenSettings
from rotator.errors import ConfigError
from rotator.stores.port import SecretStore
from rotator.stores.readonly import BareFile

Opened = list[tuple[TokenSettings, list[SecretStore]]]


def opened(settings: Settings, names: Sequence[str]) -> Opened:
    """Return the named tokens, or all of them, with their stores in the configured order.

    Raises `ConfigError` as `composition.opened` does, which knows nothing of bare files.
    """
    by_name = {token.name: token for token in settings.tokens}
    others = tuple(
        token._replace(stores=tuple(text for text in token.stores if not BareFile.serves(text)))
        for token in settings.tokens
    )
    found = wiring.opened(settings._replace(tokens=others), names)
    return [
        (by_name[token.name], _all_of(by_name[token.name], stores, settings))
        for token, stores in found
    ]


def _all_of(
    token: TokenSettings, others: Sequence[SecretStore], settings: Settings
) -> list[SecretStore]:
    rest = iter(others)
    try:
        return [
            BareFile.open(text, settings.folder) if BareFile.serves(text) else next(rest)
            for text in token.stores
        ]
    except ConfigError as error:
        raise ConfigError(f"{token.origin}: {error}") from None
