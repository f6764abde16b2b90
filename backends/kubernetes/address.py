"""From a store URL to a key of a Secret, and back to the one canonical URL."""

import re
from dataclasses import dataclass, replace
from hashlib import sha256
from urllib.parse import quote

from backends.remote import check_options, is_creation_allowed
from rotator.errors import ConfigError, quote_value
from rotator.stores.port import DEFAULT_FIELD, SCRATCH, StoreUrl

# https://kubernetes.io/docs/concepts/overview/working-with-objects/names/
_NAMESPACE = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
# https://kubernetes.io/docs/concepts/configuration/secret/#restriction-names-data
_KEY = re.compile(r"(?!\.\.)(?!\.\Z)[A-Za-z0-9_.-]{1,253}")
_LONGEST_KEY = 253
# https://kubernetes.io/docs/concepts/overview/working-with-objects/annotations/#syntax-and-character-set
_ANNOTATION = re.compile(r"(?=.{1,63}\Z)[A-Za-z0-9._-]*[A-Za-z0-9]")


@dataclass(frozen=True, slots=True)
class KubernetesAddress:
    """One key of one Secret; `context` is None for the kubeconfig's current one.

    `create` allows the rotator to create a missing Secret.
    """

    namespace: str
    name: str
    key: str
    context: str | None = None
    create: bool = False

    @classmethod
    def parse(cls, url: StoreUrl) -> "KubernetesAddress":
        """Take `kubernetes://bots/luna?create=true#KEY` apart; raises `ConfigError`."""
        check_options(url, "context", "create")
        namespace, _, name = url.location.removeprefix("//").partition("/")
        key, context = url.field or DEFAULT_FIELD, url.query.get("context")
        wrong = None
        if not url.location.startswith("//") or not namespace or not name:
            wrong = "a kubernetes: store needs a namespace and a Secret"
        elif not is_namespace(namespace):
            wrong = (
                f"{quote_value(namespace)} is no name of a namespace (up to 63 small letters,"
                " digits and -)"
            )
        elif not _NAME.fullmatch(name):
            wrong = f"{quote_value(name)} is no name of a Secret (small letters, digits, - and .)"
        elif not _KEY.fullmatch(key):
            wrong = (
                "after the `#` of a kubernetes: store stands a key of the Secret (letters, digits,"
                f" _, - and .), found {quote_value(key)}"
            )
        elif context is not None and (not context or not context.isprintable()):
            wrong = "after `context=` stands the name of a context of the kubeconfig"
        if wrong:
            raise ConfigError(f"{wrong}: write kubernetes://NAMESPACE/NAME#KEY")
        return cls(namespace, name, key, context, is_creation_allowed(url))

    @property
    def canonical(self) -> str:
        """The same text for the same key of the same Secret, as far as the URL tells."""
        return self._url()

    @property
    def creating(self) -> str:
        """The URL of the same key that allows to create the Secret."""
        return self._url("create=true")

    @property
    def scratch(self) -> "KubernetesAddress":
        """The key beside it in which a rotation is rehearsed."""
        return replace(self, key=f"{self.key[: _LONGEST_KEY - len(SCRATCH)]}{SCRATCH}")

    @property
    def annotation(self) -> str:
        """The name of the annotation for the journal: one for each key."""
        return name_annotation("journal", self.key, "hashed")

    @property
    def expiry_annotation(self) -> str:
        """The name of the annotation that tells people when the token expires."""
        return name_annotation("expires", self.key, "expires-hashed")

    def _url(self, *more: str) -> str:
        context = [f"context={quote(self.context, safe=':/@')}"] if self.context else []
        options = "&".join([*context, *more])
        query = f"?{options}" if options else ""
        return f"kubernetes://{self.namespace}/{self.name}{query}#{self.key}"


def name_annotation(kind: str, subject: str, hashed: str) -> str:
    """Return the name of an annotation about a subject, such as a key.

    It has at most 63 characters after the slash: a subject that does not fit is hashed.
    """
    if _ANNOTATION.fullmatch(name := f"{kind}.{subject}"):
        return f"nocturna-rotator/{name}"
    return f"nocturna-rotator/{hashed}.{sha256(subject.encode()).hexdigest()[:40]}"


def is_namespace(text: str) -> bool:
    return bool(_NAMESPACE.fullmatch(text))
