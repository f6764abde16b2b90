"""From an `aws-ssm:` URL to a parameter's name, its region and a field, and back to one URL."""

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from urllib.parse import quote

from backends.aws.address import read_kms_key_id, read_region
from backends.aws.failures import AwsService
from backends.notes import plain_name
from backends.remote import check_options, is_creation_allowed
from rotator.errors import ConfigError, quote_value
from rotator.stores.port import SCRATCH, StoreUrl

PARAMETER_STORE = AwsService("ssm", "AWS Systems Manager", "parameter", "SSM")
# https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html: Name
_NAME = re.compile(r"(?=.{1,900}$)([A-Za-z0-9_.-]+|(/[A-Za-z0-9_.-]+){1,14})")
_TICKETS = "/nocturna-rotator/"


@dataclass(frozen=True, slots=True)
class ParameterAddress:
    """A parameter in a region; `field` is None where all of it is the token.

    `create` allows the rotator to create it, encrypted with `kms_key_id` (None: the account's
    `aws/ssm` key). That of a scratch place has its tags and its ticket at the parameter `beside`.
    """

    name: str
    region: str
    field: str | None
    create: bool = False
    kms_key_id: str | None = None
    beside: "ParameterAddress | None" = None

    @classmethod
    def parse(cls, url: StoreUrl, usual_region: Callable[[], str | None]) -> "ParameterAddress":
        """Take a URL apart; raises `ConfigError`.

        `usual_region` is asked only where `?region=` names none.
        """
        check_options(url, "region", "create", "kms_key_id")
        name = url.location
        if not _NAME.fullmatch(name):
            raise ConfigError(
                "an aws-ssm: store needs the name of a parameter (letters, digits and /_.-, with a"
                f" slash in front if there is one in it), found {quote_value(name)}: write"
                " aws-ssm:/bots/luna?region=eu-west-1"
            )
        if url.field is not None and not url.field.isprintable():
            raise ConfigError("after the `#` of an aws-ssm: store stands a key of its JSON")
        create = is_creation_allowed(url)
        region = read_region(url, None, usual_region)
        return cls(name, region, url.field, create, read_kms_key_id(url, create=create))

    @property
    def canonical(self) -> str:
        """The same text for the same parameter."""
        return self._url(f"?region={self.region}")

    @property
    def holder(self) -> "ParameterAddress":
        """The parameter that has the tags; `beside`, or this one."""
        return self.beside or self

    @property
    def scratch(self) -> "ParameterAddress":
        """A parameter with the same prefix, for the whole token: one for each field."""
        field = "" if self.field is None else f".{plain_name(self.field)}"
        name = f"{self.name}{field}{SCRATCH}"
        return replace(self, name=name, field=None, create=True, beside=self)

    @property
    def ticket(self) -> str:
        """The name of the parameter whose versions say who may write next."""
        return _TICKETS + self.holder.name.removeprefix("/")

    @property
    def service(self) -> AwsService:
        return PARAMETER_STORE

    @property
    def missing(self) -> str:
        there_is_none = f"there is no such parameter in {self.region}"
        if self.create:
            return f"{there_is_none}: create it, or correct the name or region"
        creating = self._url(f"?region={self.region}&create=true")
        return (
            f"{there_is_none}: create it, or let the rotator create it with '{creating}', or"
            " correct the name or region"
        )

    def describe_resource(self, operations: Collection[str]) -> str:
        resource, asked = f"arn:aws:ssm:{self.region}:*:parameter", {*operations}
        is_about_value = bool(asked & {"GetParameter", "PutParameter"})
        named = [self.name] if is_about_value or "DeleteParameter" in asked else []
        named += [self.holder.name] if asked - {"DeleteParameter"} else []
        named += [self.ticket] if is_about_value else []
        resources = (f"{resource}/{each.removeprefix('/')}" for each in dict.fromkeys(named))
        return " and ".join(resources)

    def _url(self, options: str) -> str:
        field = "" if self.field is None else f"#{quote(self.field, safe='/+,=:@~')}"
        return f"aws-ssm:{quote(self.name, safe='/')}{options}{field}"
