"""What a user reads when AWS refuses a call, or the SDK cannot make it, after the store's URL.

The codes: https://docs.aws.amazon.com/secretsmanager/latest/apireference/CommonErrors.html and the
`Errors` of each call.
"""

import re
from collections.abc import Callable, Collection
from functools import partial
from typing import Any

from backends.aws.address import AwsAddress
from rotator.errors import StoreDeniedError, StoreError, StoreUnreachableError


class CredentialsError(StoreDeniedError):
    """AWS does not accept these credentials (any more); fresh ones may exist by now."""


class NotAllowedError(StoreDeniedError):
    """The policy denies this operation; it may allow others."""


_Failure = Callable[[], StoreError]

deleted = partial(
    StoreUnreachableError,
    "this secret is scheduled for deletion: aws secretsmanager restore-secret brings it back",
)
no_aws = partial(
    StoreUnreachableError,
    "what answers is no AWS Secrets Manager: correct AWS_ENDPOINT_URL, or check the proxy",
)
_clock_skew = partial(
    StoreDeniedError,
    "AWS refuses the time of this request: set this machine's clock (more than 5 minutes off)",
)
_is_replica = partial(StoreError, "this is a replica: use the region of its primary secret")
_no_key = partial(
    StoreDeniedError,
    "the key of this secret may not be used: grant kms:Decrypt and kms:GenerateDataKey on it, in"
    " the key's policy or in ours",
)
# These codes mean more than one thing; words of the message tell which.
_BY_WORDS: tuple[tuple[str, str, _Failure], ...] = (
    ("AccessDeniedException", "kms", _no_key),
    ("InvalidSignatureException", "signature expired", _clock_skew),
    ("InvalidSignatureException", "signature not yet current", _clock_skew),
    ("InvalidRequestException", "delet", deleted),
    ("InvalidParameterException", "replica", _is_replica),
)
# By codes of AWS, and by names of the SDK's errors.
_FAILURES: dict[str, _Failure] = {
    "ExpiredTokenException ExpiredToken TokenRefreshRequired": partial(
        CredentialsError, "the AWS credentials have expired: renew them (aws sso login, …)"
    ),
    "UnrecognizedClientException InvalidClientTokenId InvalidSignatureException"
    " SignatureDoesNotMatch IncompleteSignature"
    " MissingAuthenticationToken MissingAuthenticationTokenException": partial(
        CredentialsError,
        "AWS does not accept these credentials: correct AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY"
        " and AWS_SESSION_TOKEN, or the profile",
    ),
    "NoCredentialsError PartialCredentialsError": partial(
        StoreDeniedError,
        "there are no AWS credentials: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and"
        " AWS_SECRET_ACCESS_KEY, or give this machine a role",
    ),
    "ConfigParseError": partial(
        StoreDeniedError,
        "a file with AWS profiles cannot be parsed: correct ~/.aws/config, ~/.aws/credentials, or"
        " what AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE name",
    ),
    "InfiniteLoopConfigError InvalidConfigError": partial(
        StoreDeniedError,
        "the AWS profile cannot be used: correct its role_arn, source_profile and"
        " credential_source",
    ),
    "ProfileNotFound": partial(
        StoreDeniedError, "there is no such AWS profile: correct AWS_PROFILE"
    ),
    "RequestTimeTooSkewed RequestExpired": _clock_skew,
    "DecryptionFailure EncryptionFailure": partial(
        StoreError,
        "KMS cannot use the key of this secret: check that it is enabled and not scheduled for"
        " deletion",
    ),
    "ThrottlingException Throttling TooManyRequestsException RequestLimitExceeded": partial(
        StoreUnreachableError, "AWS asks to slow down: try again later"
    ),
    "LimitExceededException": partial(
        StoreError,
        "a quota of AWS Secrets Manager is used up (versions of this secret, or secrets): see"
        " Service Quotas, or try again tomorrow",
    ),
    "InternalServiceError InternalFailure ServiceUnavailable": partial(
        StoreUnreachableError, "AWS Secrets Manager answers with a fault: try again later"
    ),
    "SSLError": partial(
        StoreUnreachableError,
        "its certificate is not trusted: set AWS_CA_BUNDLE if a proxy of yours issues it",
    ),
    # What botocore raises over an answer that is no JSON object.
    "ResponseParserError UnicodeDecodeError AttributeError TypeError RecursionError": no_aws,
}
_BY_NAME = {name: failure for names, failure in _FAILURES.items() for name in names.split()}
# Errors about credentials that are fetched (SSO, a role, a process) have these words in their name;
# newer SDKs have more of them.
_FETCHING = ("SSO", "Login", "Token", "Credential", "Metadata")
_CODE = re.compile(r"[A-Za-z0-9.]{1,60}")  # anything else in an answer is not repeated
_SERVER_FAULT = 500


def describe_failure(error: Exception, operation: str, address: AwsAddress) -> StoreError:
    """Describe what a call raised; nothing of the error's own text is repeated."""
    from botocore.exceptions import ClientError  # noqa: PLC0415 - loaded with the client

    if not isinstance(error, ClientError):
        return _describe_sdk_error(error, address)
    if code := code_of(error, operation):
        return _describe_refusal(code, error.response, operation, address)
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
    code: str, response: dict[str, Any], operation: str, address: AwsAddress
) -> StoreError:
    text = str(response.get("Error", {}).get("Message", "")).lower()
    by_words = (each for of_code, words, each in _BY_WORDS if code == of_code and words in text)
    if failure := next(by_words, None) or _BY_NAME.get(code):
        return failure()
    if code == "AccessDeniedException":
        return describe_denial([operation], address)
    if code == "ResourceNotFoundException":
        return StoreUnreachableError(_describe_missing(address))
    if response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) >= _SERVER_FAULT:
        return _BY_NAME["ServiceUnavailable"]()
    if code.isdecimal():
        return no_aws()
    return StoreError(f"AWS refuses {operation} ({code}): look at this secret in the AWS console")


def describe_denial(operations: Collection[str], address: AwsAddress) -> StoreError:
    resource, hint = address.resource, ""
    if "CreateSecret" in operations:
        resource = resource.removesuffix("-??????") + "*"
    if "DescribeSecret" in operations:
        hint = " (AWS may say so of a secret that is missing, too)"
    names = ", ".join(f"secretsmanager:{operation}" for operation in sorted(operations))
    them = "it" if len(operations) == 1 else "them"
    return NotAllowedError(f"AWS denies {names}: allow {them} on {resource}{hint}")


def _describe_sdk_error(error: Exception, address: AwsAddress) -> StoreError:
    from botocore.exceptions import ConnectionError, HTTPClientError  # noqa: A004, PLC0415 - loaded with the client

    name = type(error).__name__
    if described := _describe_cause(error):
        return described
    if str(error).startswith("Invalid endpoint"):
        return StoreError(
            "AWS_ENDPOINT_URL is no URL: write it as https://HOST (the same goes for"
            " AWS_ENDPOINT_URL_SECRETS_MANAGER, and for endpoint_url in ~/.aws/config)"
        )
    if name in _BY_NAME:
        return _BY_NAME[name]()
    if isinstance(error, (ConnectionError, HTTPClientError)):
        return StoreUnreachableError(
            f"AWS Secrets Manager in {address.region} does not answer: check the region's name, the"
            " network, a VPC endpoint or proxy, and AWS_ENDPOINT_URL"
        )
    if any(word in name for word in _FETCHING):
        return _describe_unfetched(name)
    return StoreError(f"the AWS SDK cannot make this request ({name}): check the AWS settings")


def _describe_cause(error: Exception) -> StoreError | None:
    """Describe what the SDK has wrapped, None where that tells no more."""
    from botocore.exceptions import HTTPClientError, SSLError  # noqa: PLC0415 - loaded with the client

    from rotator.http.client import advise_on_certificate, find_certificate_fault  # noqa: PLC0415 - loaded with the client

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


def _describe_missing(address: AwsAddress) -> str:
    there_is_none = f"there is no such secret in {address.region}"
    if address.is_arn:
        return f"{there_is_none}: correct the ARN (aws secretsmanager list-secrets shows it)"
    if address.create:
        return f"{there_is_none}: create it, or correct the name or region"
    return (
        f"{there_is_none}: create it, or let the rotator create it with '{address.creating}', or"
        " correct the name or region"
    )
