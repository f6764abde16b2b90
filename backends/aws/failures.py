"""What a user reads when AWS refuses a call, or the SDK cannot make it, after the store's URL.

The codes: https://docs.aws.amazon.com/secretsmanager/latest/apireference/CommonErrors.html and the
`Errors` of each call, of Systems Manager, too.
"""

import re
from collections.abc import Collection
from typing import Any, NamedTuple, Protocol

from rotator.errors import StoreDeniedError, StoreError, StoreUnreachableError


class CredentialsError(StoreDeniedError):
    """AWS does not accept these credentials (any more); fresh ones may exist by now."""


class NotAllowedError(StoreDeniedError):
    """The policy denies this operation; it may allow others."""


class AwsService(NamedTuple):
    """A service of AWS: its name in the SDK and in IAM, and what messages call it and its secrets.

    `variable` is what its own endpoint variable ends in.
    """

    name: str
    title: str
    noun: str
    variable: str


class AwsTarget(Protocol):
    """What a call is about."""

    @property
    def service(self) -> AwsService:
        """The service that is called."""

    @property
    def region(self) -> str:
        """The region in which it is."""

    @property
    def missing(self) -> str:
        """What to do where AWS knows no such thing, as a sentence that begins with that."""

    def describe_resource(self, operations: Collection[str]) -> str:
        """Return what an IAM policy has to name for these operations, and a hint behind it."""


class _Failure(NamedTuple):
    """An error; its text may name the `service` and its `noun`."""

    kind: type[StoreError]
    text: str

    def about(self, target: AwsTarget) -> StoreError:
        service = target.service
        return self.kind(self.text.format(service=service.title, noun=service.noun))


DELETED = _Failure(
    StoreUnreachableError,
    "this secret is scheduled for deletion: aws secretsmanager restore-secret brings it back",
)
_NO_AWS = _Failure(
    StoreUnreachableError,
    "what answers is no {service}: correct AWS_ENDPOINT_URL, or check the proxy",
)
_CLOCK_SKEW = _Failure(
    StoreDeniedError,
    "AWS refuses the time of this request: set this machine's clock (more than 5 minutes off)",
)
_IS_REPLICA = _Failure(StoreError, "this is a replica: use the region of its primary secret")
_NO_KEY = _Failure(
    StoreDeniedError,
    "the key of this {noun} may not be used: grant kms:Decrypt and kms:GenerateDataKey on it, in"
    " the key's policy or in ours",
)
# These codes mean more than one thing; words of the message tell which.
_BY_WORDS: tuple[tuple[str, str, _Failure], ...] = (
    ("AccessDeniedException", "kms", _NO_KEY),
    ("InvalidSignatureException", "signature expired", _CLOCK_SKEW),
    ("InvalidSignatureException", "signature not yet current", _CLOCK_SKEW),
    ("InvalidRequestException", "delet", DELETED),
    ("InvalidParameterException", "replica", _IS_REPLICA),
)
# By codes of AWS, and by names of the SDK's errors.
_FAILURES: dict[str, _Failure] = {
    "ExpiredTokenException ExpiredToken TokenRefreshRequired": _Failure(
        CredentialsError, "the AWS credentials have expired: renew them (aws sso login, …)"
    ),
    "UnrecognizedClientException InvalidClientTokenId InvalidSignatureException"
    " SignatureDoesNotMatch IncompleteSignature"
    " MissingAuthenticationToken MissingAuthenticationTokenException": _Failure(
        CredentialsError,
        "AWS does not accept these credentials: correct AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY"
        " and AWS_SESSION_TOKEN, or the profile",
    ),
    "NoCredentialsError PartialCredentialsError": _Failure(
        StoreDeniedError,
        "there are no AWS credentials: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and"
        " AWS_SECRET_ACCESS_KEY, or give this machine a role",
    ),
    "ConfigParseError": _Failure(
        StoreDeniedError,
        "a file with AWS profiles cannot be parsed: correct ~/.aws/config, ~/.aws/credentials, or"
        " what AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE name",
    ),
    "InfiniteLoopConfigError InvalidConfigError": _Failure(
        StoreDeniedError,
        "the AWS profile cannot be used: correct its role_arn, source_profile and"
        " credential_source",
    ),
    "ProfileNotFound": _Failure(
        StoreDeniedError, "there is no such AWS profile: correct AWS_PROFILE"
    ),
    "RequestTimeTooSkewed RequestExpired": _CLOCK_SKEW,
    "DecryptionFailure EncryptionFailure": _Failure(
        StoreError,
        "KMS cannot use the key of this {noun}: check that it is enabled and not scheduled for"
        " deletion",
    ),
    "ThrottlingException Throttling TooManyRequestsException TooManyUpdates"
    " RequestLimitExceeded": _Failure(
        StoreUnreachableError, "AWS asks to slow down: try again later"
    ),
    "LimitExceededException ParameterLimitExceeded ParameterMaxVersionLimitExceeded": _Failure(
        StoreError,
        "a quota of {service} is used up (versions of this {noun}, or {noun}s): see"
        " Service Quotas, or try again tomorrow",
    ),
    "InternalServiceError InternalServerError InternalFailure ServiceUnavailable": _Failure(
        StoreUnreachableError, "{service} answers with a fault: try again later"
    ),
    "SSLError": _Failure(
        StoreUnreachableError,
        "its certificate is not trusted: set AWS_CA_BUNDLE if a proxy of yours issues it",
    ),
    # What botocore raises over an answer that is no JSON object.
    "ResponseParserError UnicodeDecodeError AttributeError TypeError RecursionError": _NO_AWS,
}
_BY_NAME = {name: failure for names, failure in _FAILURES.items() for name in names.split()}
# Errors about credentials that are fetched (SSO, a role, a process) have these words in their name;
# newer SDKs have more of them.
_FETCHING = ("SSO", "Login", "Token", "Credential", "Metadata")
_CODE = re.compile(r"[A-Za-z0-9.]{1,60}")  # anything else in an answer is not repeated
_SERVER_FAULT = 500
_MISSING = ("ResourceNotFoundException", "ParameterNotFound", "InvalidResourceId")


def describe_failure(error: Exception, operation: str, target: AwsTarget) -> StoreError:
    """Describe what a call raised; nothing of the error's own text is repeated."""
    from botocore.exceptions import ClientError  # noqa: PLC0415 - loaded with the client

    if not isinstance(error, ClientError):
        return _describe_sdk_error(error, target)
    if code := code_of(error, operation):
        return _describe_refusal(code, error.response, operation, target)
    # The call that failed was one for credentials, such as AssumeRole.
    name = error.operation_name
    return _describe_unfetched(f"{_plain(name)}: {code_of(error, name)}")


def code_of(error: Exception, operation: str) -> str | None:
    """Return the code that AWS answered to this operation, None where it did not answer.

    An answer without a code has its HTTP status as the code.
    """
    if getattr(error, "operation_name", None) != operation:
        return None
    response: dict[str, Any] = getattr(error, "response", {})
    return _plain(response.get("Error", {}).get("Code"))


def _describe_refusal(
    code: str, response: dict[str, Any], operation: str, target: AwsTarget
) -> StoreError:
    text = str(response.get("Error", {}).get("Message", "")).lower()
    by_words = (each for of_code, words, each in _BY_WORDS if code == of_code and words in text)
    if failure := next(by_words, None) or _BY_NAME.get(code):
        return failure.about(target)
    if code == "AccessDeniedException":
        return describe_denial([operation], target)
    if code in _MISSING:
        return StoreUnreachableError(target.missing)
    if response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) >= _SERVER_FAULT:
        return _BY_NAME["ServiceUnavailable"].about(target)
    if code.isdecimal():
        return no_aws(target)
    return StoreError(
        f"AWS refuses {operation} ({code}): look at this {target.service.noun} in the AWS console"
    )


def no_aws(target: AwsTarget) -> StoreError:
    """Return the error about an answer that is none of AWS."""
    return _NO_AWS.about(target)


def describe_denial(operations: Collection[str], target: AwsTarget) -> StoreError:
    names = ", ".join(f"{target.service.name}:{operation}" for operation in sorted(operations))
    them = "it" if len(operations) == 1 else "them"
    where = target.describe_resource(operations)
    return NotAllowedError(f"AWS denies {names}: allow {them} on {where}")


def _describe_sdk_error(error: Exception, target: AwsTarget) -> StoreError:
    from botocore.exceptions import ConnectionError, HTTPClientError  # noqa: A004, PLC0415 - loaded with the client

    name = type(error).__name__
    if described := _describe_cause(error):
        return described
    if str(error).startswith(_OF_ENDPOINTS):
        return StoreError(
            "AWS_ENDPOINT_URL is no URL: write it as https://HOST (the same goes for"
            f" AWS_ENDPOINT_URL_{target.service.variable}, and for endpoint_url in ~/.aws/config)"
        )
    if name in _BY_NAME:
        return _BY_NAME[name].about(target)
    if isinstance(error, (ConnectionError, HTTPClientError)):
        return StoreUnreachableError(
            f"{target.service.title} in {target.region} does not answer: check the region's name,"
            " the network, a VPC endpoint or proxy, and AWS_ENDPOINT_URL"
        )
    if any(word in name for word in _FETCHING):
        return _describe_unfetched(name)
    return _describe_setting(error)


def _describe_setting(error: Exception) -> StoreError:
    for beginning, remedy in _BY_BEGINNING.items():
        if str(error).startswith(beginning):
            return StoreDeniedError(f"the AWS SDK cannot make this request: {remedy}")
    name = type(error).__name__
    return StoreError(f"the AWS SDK cannot make this request ({name}): check the AWS settings")


# How the texts of errors begin that have no class of their own; all else of them may be secret.
_OF_ENDPOINTS = ("Invalid endpoint", "Invalid IPv6 URL", "Port ")
_OF_PROCESS = "correct credential_process of the AWS profile, whose quotes are not closed"
_BY_BEGINNING = {
    "No closing quotation": _OF_PROCESS,
    "No escaped character": _OF_PROCESS,
    "Unsupported host": "correct AWS_CONTAINER_CREDENTIALS_FULL_URI, whose host is not allowed",
    "Auth token value": "correct AWS_CONTAINER_AUTHORIZATION_TOKEN, which has line breaks",
    "Credentials were refreshed, but": "renew what the AWS profile gives: it has expired already",
    "Unknown string format": "correct the Expiration that credential_process gives: it is no time",
    "invalid literal for int()": "correct the AWS variable, or the key of the profile, that is to"
    " be a number, such as AWS_METADATA_SERVICE_TIMEOUT",
}


def _describe_cause(error: Exception) -> StoreError | None:
    """Describe what the SDK has wrapped, None where that tells no more."""
    from botocore.exceptions import HTTPClientError, SSLError  # noqa: PLC0415 - loaded with the client

    from rotator.http.failures import advise_on_certificate, find_certificate_fault  # noqa: PLC0415 - loaded with the client

    if isinstance(error, SSLError):
        fault = find_certificate_fault(error.kwargs.get("error") or error)
        if fault and (remedy := advise_on_certificate(fault)):
            reason = fault.name.lower().replace("_", " ")
            return StoreUnreachableError(f"its certificate is not trusted ({reason}): {remedy}")
    # Python's HTTP refuses a header with a line break, before anything is sent.
    elif isinstance(error, HTTPClientError) and isinstance(error.kwargs.get("error"), ValueError):
        return StoreDeniedError(
            "the AWS credentials, or a proxy's address, have line breaks or worse: correct what"
            " the profile, its credential_process or HTTPS_PROXY gives"
        )
    return None


def _describe_unfetched(why: str) -> StoreError:
    return CredentialsError(
        f"the AWS credentials cannot be fetched ({why}): log in again (aws sso login), or check"
        " the role or profile"
    )


def _plain(text: object) -> str:
    return str(text) if _CODE.fullmatch(str(text)) else "an unknown error"
