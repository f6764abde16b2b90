"""An AWS with IAM switched on, and places for secrets in it.

Where moto is not like AWS, the tests follow AWS, and say so:

- Its authorization knows actions, and neither resources, conditions nor KMS: policies are loaded
  with `"Resource": "*"` and without conditions.
- PutSecretValue without labels takes AWSCURRENT from the version that was put last, not from the
  one that has it: an operator's change is staged and moved here, which means the same on AWS.
"""

import json
import logging
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any

import boto3
import requests

from tests.support.waiting import PATIENCE

REGION = "eu-west-1"
READING = ("DescribeSecret", "GetSecretValue")
WRITING = ("PutSecretValue", "TagResource", "UntagResource", "UpdateSecretVersionStage")
Keys = dict[str, str]
# The operator's own requests would fill the log, with secrets; the store has to see to its own.
logging.getLogger("botocore").setLevel(logging.INFO)


class Aws:
    """A running server; every call is signed, and allowed by a policy or refused."""

    def __init__(self, upstream: str) -> None:
        self.upstream = upstream
        iam = self._client("iam", {"aws_access_key_id": "AKIA0", "aws_secret_access_key": "-"})
        self._iam = iam
        self._operator = self.user("secretsmanager:*", "ssm:*", "iam:*")
        self._iam = self._client("iam", self._operator)
        requests.post(
            f"{upstream}/moto-api/reset-auth", data=b"0", timeout=PATIENCE
        ).raise_for_status()

    def user(self, *actions: str) -> Keys:
        """Return the keys of a new user that may do this, everywhere."""
        name = uuid.uuid4().hex
        self._iam.create_user(UserName=name)
        if actions:
            statement = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
            policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
            self._iam.put_user_policy(UserName=name, PolicyName="all", PolicyDocument=policy)
        keys = self._iam.create_access_key(UserName=name)["AccessKey"]
        return {
            "aws_access_key_id": keys["AccessKeyId"],
            "aws_secret_access_key": keys["SecretAccessKey"],
        }

    @cache  # noqa: B019 - it lives as long as the tests
    def may(self, *operations: str) -> Keys:
        """Return the keys of a user that may call these, of Secrets Manager or as told."""
        return self.user(
            *(each if ":" in each else f"secretsmanager:{each}" for each in operations)
        )

    @cache  # noqa: B019 - (the same)
    def operator(self, region: str = REGION) -> Any:  # noqa: ANN401 - boto3 has no types
        """Return a plain client of somebody who may everything."""
        return self._client("secretsmanager", self._operator, region)

    @cache  # noqa: B019 - (the same)
    def parameters(self) -> Any:  # noqa: ANN401 - boto3 has no types
        """Return a plain client of the Parameter Store, of somebody who may everything."""
        return self._client("ssm", self._operator)

    def _client(self, service: str, keys: Keys, region: str = REGION) -> Any:  # noqa: ANN401
        return boto3.Session().client(
            service, region_name=region, endpoint_url=self.upstream, **keys
        )


class Site:
    """A place for one secret: a key of a JSON object, unless `field` is None."""

    def __init__(
        self,
        aws: Aws,
        *,
        field: str | None = "NOCTURNA_SERVICE_TOKEN",
        others: str = '{"é": 1.10, "big": 12345678901234567890, "LOG": "info"}',
    ) -> None:
        self.aws = aws
        self.upstream = aws.upstream
        self.name = f"bots/{uuid.uuid4().hex[:8]}"
        self.field = field
        self.operator = aws.operator()
        tags = [{"Key": "team", "Value": "night shift"}]
        given = {"SecretString": others} if field else {}
        self.operator.create_secret(Name=self.name, Tags=tags, **given)

    @property
    def store_url(self) -> str:
        fragment = f"#{self.field}" if self.field else ""
        return f"aws-secretsmanager://{self.name}?region={REGION}{fragment}"

    def variables(self, server: str) -> dict[str, str]:
        keys = self.aws.may(*READING, *WRITING)
        return {
            "AWS_ENDPOINT_URL": server,
            "AWS_EC2_METADATA_DISABLED": "true",
            **{name.upper(): value for name, value in keys.items()},
        }

    def put(self, secret: str) -> None:
        text = self.text()
        if self.field is None:
            self.put_text(secret)
        else:
            self.put_text(json.dumps(json.loads(text or "{}") | {self.field: secret}))

    def secret(self) -> str | None:
        text = self.text()
        if self.field is None:
            return text
        value = json.loads(text or "{}").get(self.field)
        return None if value is None else str(value)

    def neighbours(self) -> object:
        about = self.about()
        tags = [tag for tag in about["Tags"] if not tag["Key"].startswith("rotator:")]
        text = self.text() or "{}"
        others = {} if self.field is None else json.loads(text, parse_float=str, parse_int=str)
        others.pop(self.field, None)
        return list(others.items()), tags, about.get("Description"), about.get("KmsKeyId")

    def text(self, stage: str = "AWSCURRENT") -> str | None:
        """Return the whole text of a version."""
        with suppress(self.operator.exceptions.ResourceNotFoundException):
            found = self.operator.get_secret_value(SecretId=self.name, VersionStage=stage)
            return str(found["SecretString"])
        return None

    def put_text(self, text: str) -> str:
        """Replace the whole text, and return the version's id."""
        current = self.version()
        version = str(uuid.uuid4())
        self.operator.put_secret_value(
            SecretId=self.name,
            SecretString=text,
            ClientRequestToken=version,
            VersionStages=["THEIRS"],
        )
        if current:
            self.operator.update_secret_version_stage(
                SecretId=self.name,
                VersionStage="AWSCURRENT",
                MoveToVersionId=version,
                RemoveFromVersionId=current,
            )
        return version

    def about(self) -> dict[str, Any]:
        found: dict[str, Any] = self.operator.describe_secret(SecretId=self.name)
        return found

    def version(self, stage: str = "AWSCURRENT") -> str | None:
        return next(iter(self.versions(stage)), None)

    def versions(self, stage: str) -> list[str]:
        stages = self.about().get("VersionIdsToStages", {})
        return [version for version, labels in stages.items() if stage in labels]

    def tags(self) -> dict[str, str]:
        return {tag["Key"]: tag["Value"] for tag in self.about().get("Tags", ())}


@contextmanager
def running() -> Iterator[Aws]:
    """Run the server, and stop it at the end; should we die, it reads so on its standard input."""
    command = [sys.executable, "-m", "tests.aws.server"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with process:
        try:
            port = int(process.stdout.readline()) if process.stdout else 0
            yield Aws(f"http://127.0.0.1:{port}")
        finally:
            process.kill()
