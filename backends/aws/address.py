"""From a store URL to a secret's name or ARN, its region and a field, and back to one URL."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote

from rotator.errors import ConfigError
from rotator.stores.port import StoreUrl

REGION = re.compile(r"[a-z]{2,8}(-[a-z]{2,16}){1,3}-[0-9]{1,2}")
# https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html: Name
_NAME = re.compile(r"[A-Za-z0-9/_+=.@-]{1,512}")
_ARN = re.compile(
    r"arn:(?P<partition>aws[a-z-]*):secretsmanager:(?P<region>[a-z0-9-]+):(?P<account>[0-9]{12})"
    r":secret:(?P<name>[A-Za-z0-9/_+=.@-]{1,519})"
)
_KEY = re.compile(r"[A-Za-z0-9:/_-]{1,2048}")
# What may be repeated in a message: a token pasted in the wrong place is longer, and has dots.
_HARMLESS = re.compile(r"[A-Za-z0-9_/-]{1,40}")
_OPTIONS = ("region", "create", "kms_key_id")
# A key with such signs in it is written with %3F and %26, so these are options at the wrong place.
_MISPLACED = re.compile(rf"\?|&({'|'.join(_OPTIONS)})=")
_EXAMPLE = "aws-secretsmanager://bots/luna?region=eu-west-1#NOCTURNA_SERVICE_TOKEN"


@dataclass(frozen=True, slots=True)
class Address:
    """A secret, by its name or ARN, in a region; `field` is None where all of it is the token.

    `create` allows the rotator to make a secret of this name, encrypted with `kms_key_id` (None:
    the account's `aws/secretsmanager` key).
    """

    secret_id: str
    region: str
    field: str | None
    create: bool = False
    kms_key_id: str | None = None

    @classmethod
    def parse(cls, url: StoreUrl, usual_region: Callable[[], str | None]) -> "Address":
        """Take a URL apart, or say what is wrong with it.

        `usual_region` is asked only where neither the ARN nor `?region=` tells.
        """
        _check_signs(url.text)
        secret_id = url.location.removeprefix("//")
        arn = _ARN.fullmatch(secret_id)
        if not url.location.startswith("//") or not (arn or _NAME.fullmatch(secret_id)):
            raise ConfigError(
                "an aws-secretsmanager: store needs the name or ARN of a secret (letters, digits"
                f" and /_+=.@-){_found(secret_id)}: write {_EXAMPLE}"
            )
        if unknown := sorted(set(url.query) - set(_OPTIONS)):
            raise ConfigError(
                f"an aws-secretsmanager: store takes the options {', '.join(_OPTIONS)}, found"
                f" {', '.join(unknown)!r}: correct the part between `?` and `#`"
            )
        create, key = _creation(url, by_arn=arn is not None)
        region = _region(url, arn["region"] if arn else None, usual_region)
        return cls(secret_id, region, _field(url), create, key)

    @property
    def canonical(self) -> str:
        """The same text for the same secret, as long as it is always named, or always an ARN."""
        return self._with("" if self.is_arn else f"?region={self.region}")

    @property
    def creating(self) -> str:
        """The URL of the same secret that allows to create it."""
        return self._with(f"?region={self.region}&create=true")

    @property
    def is_arn(self) -> bool:
        """Whether the secret is named by its ARN."""
        return self.secret_id.startswith("arn:")

    @property
    def resource(self) -> str:
        """The secret as the `Resource` of an IAM policy names it."""
        if self.is_arn:
            return self.secret_id
        return f"arn:aws:secretsmanager:{self.region}:*:secret:{self.secret_id}-??????"

    def _with(self, options: str) -> str:
        field = "" if self.field is None else f"#{quote(self.field, safe='/+,=:@~')}"
        return f"aws-secretsmanager://{quote(self.secret_id, safe='/+=:')}{options}{field}"


def _check_signs(text: str) -> None:
    """Refuse options that would be taken for a part of a key, or of another option."""
    before, _, fragment = text.partition("#")
    if _MISPLACED.search(fragment):
        raise ConfigError(
            "options stand before the `#` of an aws-secretsmanager: store: write it as"
            " aws-secretsmanager://NAME?region=REGION&create=true#KEY"
        )
    if before.count("?") > 1:
        raise ConfigError(
            "found two `?` in the URL of an aws-secretsmanager: store: join options with `&`, as in"
            " ?region=eu-west-1&create=true"
        )


def _region(url: StoreUrl, of_arn: str | None, usual: Callable[[], str | None]) -> str:
    wanted = url.query.get("region")
    if of_arn and wanted not in (None, of_arn):
        raise ConfigError(
            f"this ARN lies in {of_arn}, and ?region= says something else: leave ?region= out"
        )
    region = of_arn or wanted or (usual() if wanted is None else wanted)
    if region is None:
        raise ConfigError(
            f"an aws-secretsmanager: store needs a region: add {'&' if url.query else '?'}"
            "region=eu-west-1 (before the #), or set AWS_REGION, or a region in the AWS profile"
        )
    if not REGION.fullmatch(region):
        raise ConfigError(f"expected a region such as eu-west-1{_found(region)}")
    return region


def _creation(url: StoreUrl, *, by_arn: bool) -> tuple[bool, str | None]:
    create, key = url.query.get("create", "false"), url.query.get("kms_key_id")
    if create not in ("true", "false"):
        raise ConfigError(f"expected create=true or create=false{_found(create)}")
    if create == "true" and by_arn:
        raise ConfigError("a secret gets its ARN when it is created: use create=true with a name")
    if key is not None and create != "true":
        raise ConfigError(
            "kms_key_id is for secrets that the rotator creates: add &create=true (before the #),"
            " or leave it out"
        )
    if key is not None and not _KEY.fullmatch(key):
        raise ConfigError("expected an id, alias or ARN of a KMS key after kms_key_id=")
    return create == "true", key


def _field(url: StoreUrl) -> str | None:
    if url.field is not None and not url.field.isprintable():
        raise ConfigError("after the `#` of an aws-secretsmanager: store stands a key of its JSON")
    return url.field


def _found(text: str) -> str:
    return f", found {text!r}" if _HARMLESS.fullmatch(text) else ""
