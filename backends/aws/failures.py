"""What users are told about AWS, by what AWS or its SDK said.

The codes: https://docs.aws.amazon.com/secretsmanager/latest/apireference/CommonErrors.html and the
`Errors` of each call.
"""

import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

from backends.aws.address import Address
from rotator.errors import StoreDeniedError, StoreError, StoreUnreachableError


class CredentialsError(StoreDeniedError):
    """AWS does not accept our credentials, or not any more; others may be there by now."""


class NotAllowedError(StoreDeniedError):
    """Our policy does not allow this one operation; other operations may be allowed."""


Told = tuple[type[StoreError], str]
_EXPIRED = (CredentialsError, "the AWS credentials have expired: renew them (aws sso login, …)")
_UNKNOWN_KEY = (
    CredentialsError,
    (
        "AWS does not accept these credentials: correct AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY"
        " and AWS_SESSION_TOKEN, or the profile"
    ),
)
_NO_CREDENTIALS = (
    StoreDeniedError,
    (
        "there are no AWS credentials: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and"
        " AWS_SECRET_ACCESS_KEY, or give this machine a role"
    ),
)
_SKEW = (
    StoreDeniedError,
    "AWS refuses the time of this request: set this machine's clock (more than 5 minutes off)",
)
DELETED = (
    StoreUnreachableError,
    "this secret is scheduled for deletion: aws secretsmanager restore-secret brings it back",
)
_KMS_STATE = (
    StoreError,
    "KMS cannot use the key of this secret: see that it is enabled and not to be deleted",
)
KMS_DENIED = (
    StoreDeniedError,
    (
        "the key of this secret may not be used: grant kms:Decrypt and kms:GenerateDataKey"
        " on it, in the key's policy or ours"
    ),
)
_BUSY = (StoreUnreachableError, "AWS asks to slow down: try again later")
DOWN = (StoreUnreachableError, "AWS Secrets Manager answers with a fault: try again later")
_REPLICA = (StoreError, "this is a replica: use the region of its primary secret")

NO_AWS = (
    StoreUnreachableError,
    "what answers is no AWS Secrets Manager: correct AWS_ENDPOINT_URL, or see to the proxy",
)
NO_URL = (
    StoreError,
    (
        "AWS_ENDPOINT_URL is no URL: write it as https://HOST (the same goes for"
        " AWS_ENDPOINT_URL_SECRETS_MANAGER, and for endpoint_url in ~/.aws/config)"
    ),
)

BY_CODE: dict[str, Told] = {
    **dict.fromkeys(("ExpiredTokenException", "ExpiredToken", "TokenRefreshRequired"), _EXPIRED),
    **dict.fromkeys(
        (
            "UnrecognizedClientException",
            "InvalidClientTokenId",
            "InvalidSignatureException",
            "SignatureDoesNotMatch",
            "IncompleteSignature",
            "MissingAuthenticationToken",
            "MissingAuthenticationTokenException",
        ),
        _UNKNOWN_KEY,
    ),
    **dict.fromkeys(("RequestTimeTooSkewed", "RequestExpired"), _SKEW),
    **dict.fromkeys(("DecryptionFailure", "EncryptionFailure"), _KMS_STATE),
    **dict.fromkeys(
        ("ThrottlingException", "Throttling", "TooManyRequestsException", "RequestLimitExceeded"),
        _BUSY,
    ),
    "InternalServiceError": DOWN,
    "InternalFailure": DOWN,
    "ServiceUnavailable": DOWN,
    "LimitExceededException": (
        StoreError,
        (
            "a quota of AWS Secrets Manager is used up (versions of this secret, or secrets): see"
            " Service Quotas, or try again tomorrow"
        ),
    ),
}
BY_WORDS: tuple[tuple[str, str, Told], ...] = (
    ("InvalidSignatureException", "signature expired", _SKEW),
    ("InvalidSignatureException", "signature not yet current", _SKEW),
    ("InvalidRequestException", "delet", DELETED),
    ("InvalidParameterException", "replica", _REPLICA),
)
BY_KIND: dict[str, Told] = {
    "NoCredentialsError": _NO_CREDENTIALS,
    "PartialCredentialsError": _NO_CREDENTIALS,
    "ProfileNotFound": (StoreDeniedError, "there is no such AWS profile: correct AWS_PROFILE"),
    "SSLError": (
        StoreUnreachableError,
        "its certificate is not trusted: set AWS_CA_BUNDLE if a proxy of yours issues it",
    ),
    # What botocore stumbles over in an answer that is no JSON object.
    **dict.fromkeys(
        (
            "ResponseParserError",
            "UnicodeDecodeError",
            "AttributeError",
            "TypeError",
            "RecursionError",
        ),
        NO_AWS,
    ),
}


def denied(operations: Collection[str], address: Address) -> Told:
    """Return what is told where AWS denies these operations."""
    resource, hint = address.resource, ""
    if "CreateSecret" in operations:
        resource = resource.removesuffix("-??????") + "*"
    if "DescribeSecret" in operations:
        hint = " (AWS may say so of a secret that is missing, too)"
    names = ", ".join(f"secretsmanager:{operation}" for operation in sorted(operations))
    them = "it" if len(operations) == 1 else "them"
    return NotAllowedError, f"AWS denies {names}: allow {them} on {resource}{hint}"


def missing(address: Address) -> str:
    """Return what is told where there is no such secret; whoever may create it is told how."""
    there_is_none = f"there is no such secret in {address.region}"
    if address.is_arn:
        return f"{there_is_none}: correct the ARN (aws secretsmanager list-secrets shows it)"
    if address.create:
        return f"{there_is_none}: create it, or correct the name or region"
    return (
        f"{there_is_none}: create it, or let the rotator do it with '{address.creating}', or"
        " correct the name or region"
    )


def unfetched(why: str) -> Told:
    """Return what is told where credentials are to be had elsewhere, and are not."""
    return (
        CredentialsError,
        (
            f"the AWS credentials cannot be fetched ({why}): log in again (aws sso login), or see"
            " to the role or profile"
        ),
    )


# An answer may name any code; what is repeated of it is no longer than these.
_CODE = re.compile(r"[A-Za-z0-9.]{1,60}")
# moto denies in the XML of AWS's older services, which botocore takes for the message.
_IN_XML = re.compile(r"<Code>([A-Za-z0-9.]{1,60})</Code>")
_SERVER_FAULT = 500
_DENIED = ("AccessDeniedException", "AccessDenied")
_MISSING = "ResourceNotFoundException"
# Kinds of credentials that have to be fetched (SSO, a role, a process) share these names.
_FETCHED = ("SSO", "Login", "Token", "Credential", "Metadata")
_CONNECTING = ("Connect", "Timeout", "HTTPClient", "Connection", "Proxy", "Response")
# Of settings, and of answers that are no JSON object: botocore lets them through as they are.
_STRAY = (ValueError, AttributeError, TypeError, RecursionError)


@contextmanager
def translated(address: Address, operation: str) -> Iterator[None]:
    """Turn every failure of a call into a `StoreError` that names the store and the remedy.

    The SDK's own error is dropped: it can hold what was sent and what was answered.
    """
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - it is loaded now
    from botocore.parsers import ResponseParserError  # noqa: PLC0415 - (the same)

    told: Told | None = None
    try:
        yield
    except ClientError as error:
        if error.operation_name == operation:
            told = _answered(error.response, operation, address)
        else:  # a role that is to be assumed first, or the like
            told = unfetched(f"{_plain(error.operation_name)}: {code_of(error.response)}")
    except (BotoCoreError, ResponseParserError, *_STRAY) as error:
        told = _unanswered(error, address)
    if told:
        kind, sentence = told
        raise kind(f"{address.canonical}: {sentence}") from None


def code_of(response: dict[str, Any]) -> str:
    """Return the code of an error that AWS answered with; a number where there was none."""
    error = response.get("Error", {})
    code = _plain(error.get("Code"))
    in_xml = _IN_XML.search(str(error.get("Message", ""))) if code.isdecimal() else None
    return in_xml[1] if in_xml else code


def _plain(text: object) -> str:
    return str(text) if _CODE.fullmatch(str(text)) else "an unknown error"


def _answered(response: dict[str, Any], operation: str, address: Address) -> Told:
    code = code_of(response)
    text = str(response.get("Error", {}).get("Message", "")).lower()
    if code in _DENIED:
        return KMS_DENIED if "kms" in text else denied([operation], address)
    for of_code, words, told in BY_WORDS:
        if code == of_code and words in text:
            return told
    if code == _MISSING:
        return StoreUnreachableError, missing(address)
    if code in BY_CODE:
        return BY_CODE[code]
    return _unheard_of(code, response, operation)


def _unheard_of(code: str, response: dict[str, Any], operation: str) -> Told:
    if response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) >= _SERVER_FAULT:
        return DOWN
    if code.isdecimal():
        return NO_AWS
    return StoreError, f"AWS refuses {operation} ({code}): see to this secret in the AWS console"


def _unanswered(error: Exception, address: Address) -> Told:
    kind = type(error).__name__
    if str(error).startswith("Invalid endpoint"):
        return NO_URL
    if kind in BY_KIND:
        return BY_KIND[kind]
    if any(word in kind for word in _CONNECTING):
        return (
            StoreUnreachableError,
            (
                f"AWS Secrets Manager in {address.region} does not answer: see to the region's"
                " name, the network, a VPC endpoint or proxy, and AWS_ENDPOINT_URL"
            ),
        )
    if any(word in kind for word in _FETCHED):
        return unfetched(kind)
    return StoreError, f"the AWS SDK cannot make this request ({kind}): see to the AWS settings"
