"""From a store URL to a mount, a path and a field, and back to the one canonical URL."""

import re
from dataclasses import dataclass
from urllib.parse import quote

from rotator.errors import ConfigError
from rotator.stores.port import DEFAULT_FIELD, StoreUrl

_FORM = "vault://MOUNT/PATH#FIELD"
# In the API's paths this stands between mount and path, and is easily copied along.
_API_PART = re.compile(r"(data|metadata)/")


@dataclass(frozen=True, slots=True)
class VaultAddress:
    """A field of a secret below a mount; `mount` and `path` have no slash at either end."""

    mount: str
    path: str
    field: str

    @classmethod
    def parse(cls, url: StoreUrl) -> "VaultAddress":
        """Take `vault://secret/bots/luna#NAME` apart, or say what is wrong."""
        unknown = sorted(set(url.query) - {"mount"})
        if unknown:
            raise ConfigError(
                f"a vault: store takes no option {unknown[0]!r}, only ?mount=, for a mount with"
                f" slashes in its name: write {_FORM}"
            )
        whole = url.location.removeprefix("//")
        has_odd_part = not {"", ".", ".."}.isdisjoint(whole.split("/"))
        if whole == url.location or has_odd_part or not whole.isprintable():
            raise ConfigError(
                "a vault: store needs a mount and a path in it, without empty parts, `.` and `..`:"
                f" write {_FORM}, such as vault://secret/bots/luna"
            )
        named = url.query.get("mount", "").strip("/")
        mount = named or whole.partition("/")[0]
        path = whole.removeprefix(f"{mount}/")
        if path == whole:
            raise ConfigError(
                f"a vault: store needs a path after its mount {mount!r}: write {_FORM}, or, for a"
                " mount with slashes, vault://team/kv/bots/luna?mount=team/kv"
            )
        field = url.field or DEFAULT_FIELD
        if not field.isprintable():
            raise ConfigError(f"the field of a vault: store is a name: write {_FORM}")
        if not named and (extra := _API_PART.match(path)):
            meant, literal = cls(mount, path[extra.end() :], field), cls(mount, path, field)
            raise ConfigError(
                f"leave {extra[0]} out of the URL of a vault: store, as it is added by itself:"
                f" write {meant.canonical}, or, if the path really begins with {extra[0]},"
                f" {literal.canonical}"
            )
        return cls(mount, path, field)

    @property
    def canonical(self) -> str:
        """The same text for the same field of the same secret."""
        needs_mount = "/" in self.mount or _API_PART.match(self.path)
        query = f"?mount={quote(self.mount)}" if needs_mount else ""
        return f"vault://{quote(self.mount)}/{quote(self.path)}{query}#{quote(self.field)}"
