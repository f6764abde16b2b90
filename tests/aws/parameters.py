"""Places for secrets in the Parameter Store: bare ones, and keys of a JSON object."""

import json
import uuid
from contextlib import suppress
from typing import Any

from tests.aws.site import REGION, Aws, Keys

READING = ("GetParameter", "ListTagsForResource")
WRITING = ("AddTagsToResource", "GetParameterHistory", "PutParameter", "RemoveTagsFromResource")
REHEARSING = ("DeleteParameter", "GetParameter", "PutParameter")


class ParameterSite:
    """A place for one secret: a whole parameter, or a key of one where `field` says which."""

    def __init__(self, aws: Aws, *, field: str | None = None, exists: bool = True) -> None:
        self.aws = aws
        self.upstream = aws.upstream
        self.name = f"/bots/{uuid.uuid4().hex[:8]}"
        self.field = field
        self.operator = aws.parameters()
        if exists:
            self.operator.put_parameter(
                Name=self.name,
                Value='{"é": 1.10, "LOG": "info"}' if field else "-",
                Type="SecureString",
                Description="of the night shift",
                KeyId="alias/bots",
                Tier="Advanced",
                Tags=[{"Key": "team", "Value": "night shift"}],
            )

    @property
    def store_url(self) -> str:
        fragment = f"#{self.field}" if self.field else ""
        return f"aws-ssm:{self.name}?region={REGION}{fragment}"

    def variables(self, server: str) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL": server,
            "AWS_EC2_METADATA_DISABLED": "true",
            **{name.upper(): value for name, value in self.keys().items()},
        }

    def keys(self, *operations: str) -> Keys:
        """Return the keys of a user that may do this, by default all that a rotation needs."""
        wanted = operations or (*READING, *WRITING, *REHEARSING)
        return self.aws.may(*(f"ssm:{operation}" for operation in wanted))

    def put(self, secret: str) -> None:
        if self.field:
            text = json.dumps(json.loads(self.text() or "{}") | {self.field: secret})
        self.operator.put_parameter(
            Name=self.name, Value=text if self.field else secret, Overwrite=True
        )

    def secret(self) -> str | None:
        text = self.text()
        if self.field:
            text = json.loads(text or "{}").get(self.field)
        return None if text in (None, "-") else text

    def neighbours(self) -> object:
        found = self.operator.get_parameter_history(Name=self.name)["Parameters"][-1]
        kept = {key: found.get(key) for key in ("Type", "Description", "KeyId", "Tier", "DataType")}
        others = json.loads(self.text() or "{}", parse_float=str) if self.field else {}
        others.pop(self.field, None)
        tags = {k: v for k, v in self.tags().items() if not k.startswith("rotator:")}
        return list(others.items()), kept, tags, self.beside()

    def beside(self) -> list[str]:
        """Return the names of the parameters whose name begins with that of this one."""
        wanted = {"Key": "Name", "Option": "BeginsWith", "Values": [self.name]}
        found = self.operator.describe_parameters(ParameterFilters=[wanted])["Parameters"]
        return sorted(each["Name"] for each in found if each["Name"] != self.name)

    def text(self) -> str | None:
        with suppress(self.operator.exceptions.ParameterNotFound):
            found = self.operator.get_parameter(Name=self.name, WithDecryption=True)
            return str(found["Parameter"]["Value"])
        return None

    def tags(self) -> dict[str, str]:
        found: dict[str, Any] = self.operator.list_tags_for_resource(
            ResourceType="Parameter", ResourceId=self.name
        )
        return {tag["Key"]: tag["Value"] for tag in found["TagList"]}

    def versions(self) -> list[str]:
        """Return the texts of all versions, the newest last."""
        found = self.operator.get_parameter_history(Name=self.name, WithDecryption=True)
        return [str(each["Value"]) for each in found["Parameters"]]
