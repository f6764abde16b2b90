"""From what AWS or its SDK says to what a user can do: one line, and never its own text."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from backends.aws.address import Address
from backends.aws.failures import (
    BY_CODE,
    BY_KIND,
    BY_WORDS,
    DOWN,
    KMS_DENIED,
    NO_AWS,
    NO_URL,
    Told,
    denied,
    missing,
    unfetched,
)
from rotator.errors import StoreError, StoreUnreachableError

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
