"""What the server answered."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Answer:
    """A status and a JSON object that nobody has checked yet; empty where the body was none."""

    status: int
    body: Mapping[str, Any] = field(repr=False)
    errors: str = field(repr=False)

    @property
    def data(self) -> dict[str, Any]:
        """The object under `data`, empty if it is missing."""
        return as_object(self.body.get("data"))

    @property
    def is_missing(self) -> bool:
        """Whether there is nothing to be changed here; a PATCH is told that without any body."""
        return self.status == 404 and not self.errors  # noqa: PLR2004 - not found

    @property
    def is_foreign(self) -> bool:
        """Whether this is no answer of Vault, which lists what is wrong under `errors`."""
        if self.status >= 400:  # noqa: PLR2004 - RFC 9110, section 15.5
            return "errors" not in self.body
        return not self.body or self.is_strange

    @property
    def is_strange(self) -> bool:
        """Whether a success is none of Vault's, which numbers its answers; 204 is an empty one."""
        return self.status == 200 and "request_id" not in self.body  # noqa: PLR2004 - OK

    @property
    def is_nothing(self) -> bool:
        """Whether Vault itself says that there is nothing here: a proxy's 404 looks otherwise."""
        return self.status == 404 and self.body.get("errors") == []  # noqa: PLR2004 - not found


def as_object(value: object) -> dict[str, Any]:
    """Return a JSON object, empty for anything else."""
    return value if isinstance(value, dict) else {}
