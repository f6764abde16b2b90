"""The options of a store URL, which stand between its `?` and its `#`."""

import re

from rotator.errors import ConfigError, quote_value
from rotator.stores.port import StoreUrl


def check_options(url: StoreUrl, *known: str) -> None:
    """Raise `ConfigError` for an unknown option, and for one in the wrong place.

    In the wrong place an option becomes part of the field or of another option, without a word.
    """
    before, _, fragment = url.text.partition("#")
    # A field that holds these characters has them percent-encoded.
    if re.search(rf"\?|&({'|'.join(known)})=", fragment):
        raise ConfigError(
            f"options of {url.scheme}: stores stand before the `#`: write …?{known[0]}=VALUE#KEY"
        )
    if before.count("?") > 1:
        raise ConfigError(
            f"found two `?` in the URL of {url.scheme}: stores: join options with `&`, as in"
            f" ?{known[0]}=VALUE&{known[1]}=VALUE"
        )
    if unknown := sorted(set(url.query) - set(known)):
        raise ConfigError(
            f"{url.scheme}: stores take the options {', '.join(known)}, found"
            f" {', '.join(map(quote_value, unknown))}: correct the part between `?` and `#`"
        )


def is_creation_allowed(url: StoreUrl) -> bool:
    """Read the option `create`; raises `ConfigError` unless it is `true` or `false`."""
    create = url.query.get("create", "false")
    if create not in ("true", "false"):
        raise ConfigError(f"expected create=true or create=false, found {quote_value(create)}")
    return create == "true"
