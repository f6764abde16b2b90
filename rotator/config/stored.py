"""The admin's password out of a store: the key `admin_password` of a file.

No message shows what was found, as it may be the password itself.
"""

import re
from pathlib import Path

from rotator.config.section import Section
from rotator.config.settings import StoredSecret
from rotator.errors import ConfigError

KEY = "admin_password"
EXPECTED = (
    "the URL of a store that holds the password, such as vault://secret/nocturna#password; the"
    " password itself may stand in a file (admin_password_file) or in the variable"
    " NOCTURNA_ADMIN_PASSWORD"
)
_STORE_URL = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*):[^\s\x00-\x1f\x7f#]+(?:#(?P<field>[^\s\x00-\x1f\x7f]*))?",
    re.IGNORECASE,
)
_WHOLE = ("aws-secretsmanager",)  # without a field their URLs mean all of a secret


def read_stored(section: Section, folder: Path) -> StoredSecret | None:
    """Return where the password is kept, None where no store is named; files start at `folder`.

    Raises `ConfigError` for what is no store URL, and for one that names no field: the field of
    service tokens is no default for a password.
    """
    if KEY not in section:
        return None
    place, value = section.place(KEY), section.raw(KEY)
    url = _STORE_URL.fullmatch(value) if isinstance(value, str) else None
    if not url:
        raise ConfigError(
            f"{place}: found no store URL (what is there is not shown), expected {EXPECTED}"
        )
    if not url["field"] and url["scheme"].lower() not in _WHOLE:
        raise ConfigError(
            f"{place}: found no #FIELD at its end (the rest is not shown), expected {EXPECTED}"
        )
    return StoredSecret(place, url[0], folder)
