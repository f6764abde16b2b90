"""From a store URL to a key of a Secret, and back to the one canonical URL."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from urllib.parse import quote

from rotator.errors import ConfigError
from rotator.stores.port import DEFAULT_FIELD, StoreUrl

# https://kubernetes.io/docs/concepts/overview/working-with-objects/names/
_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_NAMESPACE = re.compile(_LABEL)
_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
# https://kubernetes.io/docs/concepts/configuration/secret/#restriction-names-data
_KEY = re.compile(r"(?!\.\.)(?!\.\Z)[A-Za-z0-9_.-]{1,253}")
# What may be repeated in a message: a token pasted in the wrong place is longer, and has dots.
_HARMLESS = re.compile(r"[A-Za-z0-9_-]{1,40}")
_OPTIONS = ("context", "create")
_LONGEST = 63 - len("journal.")
_EXAMPLE = "kubernetes://NAMESPACE/NAME#KEY"


@dataclass(frozen=True, slots=True)
class Address:
    """One key of one Secret; `context` is None for the kubeconfig's current one.

    `create` allows a Secret that is missing to be created.
    """

    namespace: str
    name: str
    key: str
    context: str | None = None
    create: bool = False

    @classmethod
    def parse(cls, url: StoreUrl) -> "Address":
        """Take `kubernetes://bots/luna?create=true#KEY` apart, or say what is wrong."""
        if url.text.partition("#")[0].count("?") > 1:
            raise ConfigError(
                "found two `?` in the URL of a kubernetes: store: join options with `&`, as in"
                " ?context=prod&create=true"
            )
        unknown = sorted(set(url.query) - set(_OPTIONS))
        if unknown:
            raise ConfigError(
                f"a kubernetes: store knows the options {' and '.join(_OPTIONS)},"
                f" found {', '.join(map(_shown, unknown))}"
            )
        namespace, name = _place(url.location)
        return cls(namespace, name, _key(url.field), _context(url.query), _create(url.query))

    @property
    def canonical(self) -> str:
        """The same text for the same key of the same Secret, as far as the URL tells."""
        return self._with()

    @property
    def creating(self) -> str:
        """The URL of the same key that allows to create the Secret."""
        return self._with("create=true")

    @property
    def annotation(self) -> str:
        """The name of the annotation for the journal: one for each key, of at most 63 characters.

        https://kubernetes.io/docs/concepts/overview/working-with-objects/annotations/#syntax-and-character-set
        """
        if len(self.key) <= _LONGEST and self.key[-1].isalnum():
            return f"nocturna-rotator/journal.{self.key}"
        return f"nocturna-rotator/hashed.{sha256(self.key.encode()).hexdigest()[:40]}"

    def _with(self, *more: str) -> str:
        context = [f"context={quote(self.context, safe=':/@')}"] if self.context else []
        options = "&".join([*context, *more])
        query = f"?{options}" if options else ""
        return f"kubernetes://{self.namespace}/{self.name}{query}#{self.key}"


def is_namespace(text: str) -> bool:
    """Tell whether a namespace can have this name."""
    return bool(_NAMESPACE.fullmatch(text))


def _place(location: str) -> tuple[str, str]:
    namespace, _, name = location.removeprefix("//").partition("/")
    if not location.startswith("//") or not namespace or not name:
        raise ConfigError(f"a kubernetes: store needs a namespace and a Secret: write {_EXAMPLE}")
    if not is_namespace(namespace):
        raise ConfigError(
            f"{_shown(namespace)} is no name of a namespace (up to 63 small letters, digits and -):"
            f" write {_EXAMPLE}"
        )
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"{_shown(name)} is no name of a Secret (small letters, digits, - and .):"
            f" write {_EXAMPLE}"
        )
    return namespace, name


def _key(field: str | None) -> str:
    if field is None:
        return DEFAULT_FIELD
    if "?" in field or "&" in field:
        raise ConfigError(
            "options stand before the `#` of a kubernetes: store: write it as"
            " kubernetes://NAMESPACE/NAME?create=true#KEY"
        )
    if not _KEY.fullmatch(field):
        raise ConfigError(
            "after the `#` of a kubernetes: store stands a key of the Secret"
            f" (letters, digits, _, - and .), found {_shown(field)}"
        )
    return field


def _context(query: Mapping[str, str]) -> str | None:
    context = query.get("context")
    if context is not None and (not context or not context.isprintable()):
        raise ConfigError("after `context=` stands the name of a context of the kubeconfig")
    return context


def _create(query: Mapping[str, str]) -> bool:
    create = query.get("create", "false")
    if create not in ("true", "false"):
        raise ConfigError(f"after `create=` stands true or false, found {_shown(create)}")
    return create == "true"


def _shown(text: str) -> str:
    return repr(text) if _HARMLESS.fullmatch(text) else "something else"
