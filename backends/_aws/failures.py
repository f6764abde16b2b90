"""From what AWS or its SDK says to what a user can do about it: one line, and never its own text.

The codes: https://docs.aws.amazon.com/secretsmanager/latest/apireference/CommonErrors.html and the
`Errors` of each call.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from backends._aws.address import Address
from rotator.errors import StoreDeniedError, StoreError, StoreUnreachableError


class CredentialsError(StoreDeniedError):
    """AWS does not accept our credentials, or not any more; others may be there by now."""


_Told = tuple[type[StoreError], str]
# An answer may name any code; what is repeated of it is no longer than these.
_CODE = re.compile(r"[A-Za-z0-9.]{1,60}")
_SERVER_FAULT = 500

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
_MISSING = (
    StoreUnreachableError,
    (
        "there is no such secret in {region}: create it, add ?create=true to the URL, or correct"
        " the name or region"
    ),
)
_KMS_STATE = (
    StoreError,
    "KMS cannot use the key of this secret: see that it is enabled and not to be deleted",
)
_BUSY = (StoreUnreachableError, "AWS asks to slow down: try again later")
_DOWN = (StoreUnreachableError, "AWS Secrets Manager answers with a fault: try again later")
_REPLICA = (StoreError, "this is a replica: use the region of its primary secret")

NO_AWS = (
    StoreUnreachableError,
    "what answers is no AWS Secrets Manager: correct AWS_ENDPOINT_URL, or see to the proxy",
)

_BY_CODE: dict[str, _Told] = {
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
    "ResourceNotFoundException": _MISSING,
    "InternalServiceError": _DOWN,
    "InternalFailure": _DOWN,
    "ServiceUnavailable": _DOWN,
    "LimitExceededException": (
        StoreError,
        (
            "a quota of AWS Secrets Manager is used up (versions of this secret, or secrets): see"
            " Service Quotas, or try again tomorrow"
        ),
    ),
}
# The numbers stand for answers without a code: of a proxy, a firewall, moto.
_DENIED = ("AccessDeniedException", "AccessDenied", "401", "403")
_BY_WORDS: tuple[tuple[str, str, _Told], ...] = (
    ("InvalidSignatureException", "signature expired", _SKEW),
    ("InvalidSignatureException", "signature not yet current", _SKEW),
    ("InvalidRequestException", "delet", DELETED),
    ("InvalidParameterException", "replica", _REPLICA),
)
_BY_KIND: dict[str, _Told] = {
    "NoCredentialsError": _NO_CREDENTIALS,
    "PartialCredentialsError": _NO_CREDENTIALS,
    "ProfileNotFound": (StoreDeniedError, "there is no such AWS profile: correct AWS_PROFILE"),
    "SSLError": (
        StoreUnreachableError,
        "its certificate is not trusted: set AWS_CA_BUNDLE if a proxy of yours issues it",
    ),
    "ResponseParserError": NO_AWS,
}
# Kinds of credentials that have to be fetched (SSO, a role, a process) share these names.
_FETCHED = ("SSO", "Login", "Token", "Credential", "Metadata")
_CONNECTING = ("Connect", "Timeout", "HTTPClient", "Connection", "Proxy", "Response")


@contextmanager
def translated(address: Address, operation: str) -> Iterator[None]:
    """Turn every failure of a call into a `StoreError` that names the store and the remedy.

    The SDK's own error is dropped: it can hold what was sent and what was answered.
    """
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - it is loaded now
    from botocore.parsers import ResponseParserError  # noqa: PLC0415 - (the same)

    told: _Told | None = None
    try:
        yield
    except ClientError as error:
        if error.operation_name == operation:
            told = _answered(error.response, operation, address)
        else:  # a role that is to be assumed first, or the like
            told = _unfetched(f"{_plain(error.operation_name)}: {code_of(error.response)}")
    except (BotoCoreError, ResponseParserError, ValueError) as error:
        told = _unanswered(type(error).__name__, address)
    if told:
        kind, sentence = told
        raise kind(f"{address.canonical}: {sentence}") from None


def code_of(response: dict[str, Any]) -> str:
    """Return the code of an error that AWS answered with."""
    return _plain(response.get("Error", {}).get("Code"))


def _plain(text: object) -> str:
    return str(text) if _CODE.fullmatch(str(text)) else "an unknown error"


def _answered(response: dict[str, Any], operation: str, address: Address) -> _Told:
    code = code_of(response)
    text = str(response.get("Error", {}).get("Message", "")).lower()
    if code in _DENIED:
        return _denied(text, operation, address)
    for of_code, words, told in _BY_WORDS:
        if code == of_code and words in text:
            return told
    if code in _BY_CODE:
        kind, sentence = _BY_CODE[code]
        return kind, sentence.format(region=address.region)
    if response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) >= _SERVER_FAULT:
        return _DOWN
    return StoreError, f"AWS refuses {operation} ({code}): see to this secret in the AWS console"


def _denied(text: str, operation: str, address: Address) -> _Told:
    if "kms" in text:
        return (
            StoreDeniedError,
            (
                "the key of this secret may not be used: grant kms:Decrypt and kms:GenerateDataKey"
                " on it, in the key's policy or ours"
            ),
        )
    if operation == "CreateSecret":
        resource = address.resource.removesuffix("-??????") + "*"
    else:
        resource = address.resource
    missing = (
        ""
        if operation != "DescribeSecret"
        else " (AWS may say so of a secret that is missing, too)"
    )
    return (
        StoreDeniedError,
        f"AWS denies secretsmanager:{operation}: allow it on {resource}{missing}",
    )


def _unanswered(kind: str, address: Address) -> _Told:
    if kind in _BY_KIND:
        return _BY_KIND[kind]
    if any(word in kind for word in _CONNECTING):
        return (
            StoreUnreachableError,
            (
                f"AWS Secrets Manager in {address.region} does not answer: see to the network, a"
                " VPC endpoint or proxy, and AWS_ENDPOINT_URL"
            ),
        )
    if any(word in kind for word in _FETCHED):
        return _unfetched(kind)
    return StoreError, f"the AWS SDK cannot make this request ({kind}): see to the AWS settings"


def _unfetched(why: str) -> _Told:
    return (
        CredentialsError,
        (
            f"the AWS credentials cannot be fetched ({why}): log in again (aws sso login), or see"
            " to the role or profile"
        ),
    )
