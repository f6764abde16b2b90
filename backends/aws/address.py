"""From a store URL to a secret's name or ARN, its region and a field, and back to one URL."""

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from urllib.parse import quote

from backends.aws.failures import AwsService
from backends.aws.fleet import BATCH, LIST
from backends.remote import check_options, is_creation_allowed
from rotator.errors import ConfigError, quote_value
from rotator.stores.port import StoreUrl

SECRETS_MANAGER = AwsService("secretsmanager", "AWS Secrets Manager", "secret", "SECRETS_MANAGER")
REGION = re.compile(r"[a-z]{2,8}(-[a-z]{2,16}){1,3}-[0-9]{1,2}")
# https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html: Name
_NAME = re.compile(r"[A-Za-z0-9/_+=.@-]{1,512}")
_ARN = re.compile(
    r"arn:aws[a-z-]*:secretsmanager:(?P<region>[a-z0-9-]+):[0-9]{12}"
    r":secret:[A-Za-z0-9/_+=.@-]{1,519}"
)
_KMS_KEY_ID = re.compile(r"[A-Za-z0-9:/_-]{1,2048}")


@dataclass(frozen=True, slots=True)
class AwsAddress:
    """A secret, by its name or ARN, in a region; `field` is None where all of it is the token.

    `create` allows the rotator to create a secret of this name, encrypted with `kms_key_id` (None:
    the account's `aws/secretsmanager` key).
    """

    secret_id: str
    region: str
    field: str | None
    create: bool = False
    kms_key_id: str | None = None

    @classmethod
    def parse(cls, url: StoreUrl, usual_region: Callable[[], str | None]) -> "AwsAddress":
        """Take a URL apart; raises `ConfigError`.

        `usual_region` is asked only where neither the ARN nor `?region=` names one.
        """
        check_options(url, "region", "create", "kms_key_id")
        secret_id = url.location.removeprefix("//")
        arn = _ARN.fullmatch(secret_id)
        if not url.location.startswith("//") or not (arn or _NAME.fullmatch(secret_id)):
            raise ConfigError(
                "an aws-secretsmanager: store needs the name or ARN of a secret (letters, digits"
                f" and /_+=.@-), found {quote_value(secret_id)}: write"
                " aws-secretsmanager://bots/luna?region=eu-west-1#NOCTURNA_SERVICE_TOKEN"
            )
        if url.field is not None and not url.field.isprintable():
            raise ConfigError(
                "after the `#` of an aws-secretsmanager: store stands a key of its JSON"
            )
        create = is_creation_allowed(url)
        if create and arn:
            raise ConfigError("AWS chooses the ARN of a new secret: use create=true with a name")
        region = read_region(url, arn["region"] if arn else None, usual_region)
        return cls(secret_id, region, url.field, create, read_kms_key_id(url, create=create))

    @property
    def canonical(self) -> str:
        """The same text for the same secret, as long as it is always named, or always an ARN."""
        return self._url("" if self.is_arn else f"?region={self.region}")

    @property
    def creating(self) -> str:
        """The URL of the same secret that allows to create it."""
        return self._url(f"?region={self.region}&create=true")

    @property
    def scratch(self) -> str:
        """What messages call the version of this secret in which a rotation is rehearsed."""
        region = "" if self.is_arn else f"region={self.region}&"
        return self._url(f"?{region}stage=rotator-rehearsal")

    @property
    def is_arn(self) -> bool:
        """Whether the secret is named by its ARN."""
        return self.secret_id.startswith("arn:")

    @property
    def service(self) -> AwsService:
        return SECRETS_MANAGER

    @property
    def missing(self) -> str:
        there_is_none = f"there is no such secret in {self.region}"
        if self.is_arn:
            return f"{there_is_none}: correct the ARN (aws secretsmanager list-secrets shows it)"
        if self.create:
            return f"{there_is_none}: create it, or correct the name or region"
        return (
            f"{there_is_none}: create it, or let the rotator create it with '{self.creating}', or"
            " correct the name or region"
        )

    def describe_resource(self, operations: Collection[str]) -> str:
        if {BATCH, LIST} & set(operations):  # they are about no secret
            return "*"
        hint = ""
        if "DescribeSecret" in operations:
            hint = " (AWS may say so of a secret that is missing, too)"
        if self.is_arn:
            return f"{self.secret_id}{hint}"
        # One that does not exist yet has no suffix.
        suffix = "*" if "CreateSecret" in operations else "-??????"
        return f"arn:aws:secretsmanager:{self.region}:*:secret:{self.secret_id}{suffix}{hint}"

    def _url(self, options: str) -> str:
        field = "" if self.field is None else f"#{quote(self.field, safe='/+,=:@~')}"
        return f"aws-secretsmanager://{quote(self.secret_id, safe='/+=:')}{options}{field}"


def read_region(url: StoreUrl, of_arn: str | None, usual: Callable[[], str | None]) -> str:
    """Return the region of a URL, or the usual one; raises `ConfigError`."""
    wanted = url.query.get("region")
    if of_arn and wanted not in (None, of_arn):
        raise ConfigError(f"this ARN is in {of_arn}, and ?region= names another: remove ?region=")
    region = of_arn or wanted or (usual() if wanted is None else wanted)
    if region is None:
        raise ConfigError(
            f"an {url.scheme}: store needs a region: add {'&' if url.query else '?'}"
            "region=eu-west-1 (before the #), or set AWS_REGION, or a region in the AWS profile"
        )
    if not REGION.fullmatch(region):
        raise ConfigError(f"expected a region such as eu-west-1, found {quote_value(region)}")
    return region


def read_kms_key_id(url: StoreUrl, *, create: bool) -> str | None:
    """Return the key of a secret that is to be created; raises `ConfigError`."""
    key = url.query.get("kms_key_id")
    if key is not None and not create:
        raise ConfigError(
            "kms_key_id is for secrets that the rotator creates: add &create=true (before the #),"
            " or remove it"
        )
    if key is not None and not _KMS_KEY_ID.fullmatch(key):
        raise ConfigError("expected an id, alias or ARN of a KMS key after kms_key_id=")
    return key
