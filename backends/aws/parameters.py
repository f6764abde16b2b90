"""The AWS Parameter Store: a SecureString, or one key of one that is a JSON object.

    aws-ssm:/bots/luna?region=eu-west-1    aws-ssm:/bots/luna?region=eu-west-1#KEY    …?create=true

PutParameter does not compare. It does tell the number of the version that it made, so a second
parameter, the ticket, serves as the comparison: whoever makes its next version may write. A write
that comes late all the same finds a newer ticket, and is undone. The journal stands in tags.
"""

import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from backends.aws import failures
from backends.aws.calls import PATIENCE, SDK, AwsStore, Tags, Trials
from backends.aws.clients import AwsClient, share_client, share_throttle, usual_region
from backends.aws.parameter_address import ParameterAddress
from backends.aws.text import secret_in, with_secret
from backends.remote import NotedScratch, name_errors, require_module
from rotator.errors import StoreError
from rotator.http.throttle import Throttle
from rotator.stores.port import Provenance, StoreUrl

_NOT_FOUND = "ParameterNotFound"
_NO_RESOURCE = "InvalidResourceId"
_EXISTS = "ParameterAlreadyExists"
_SECURE = "SecureString"
_NOTHING = "-"  # AWS takes no empty value
# What a new version is to have of the last one: AWS keeps some of it by itself.
_KEPT = ("Description", "KeyId", "AllowedPattern", "DataType", "Tier")
_MOST_PAGES = 10
_PAGE = 50  # versions
_MOST_UNDONE = 3
_LONGEST = {"Standard": 4096, "Advanced": 8192}  # characters


def open_store(url: StoreUrl) -> "ParameterStore":
    """Return the store behind an `aws-ssm:` URL, without asking AWS.

    Raises `ConfigError`, and `ModuleNotFoundError` where boto3 is not installed.
    """
    require_module(SDK)
    address = ParameterAddress.parse(url, usual_region)
    place = address.region, address.service.name, url.connections
    client, throttle = partial(share_client, *place), share_throttle(*place)
    return ParameterStore(address, client, throttle=throttle)


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter at one moment; `text` is None, and `version` 0, where there is none.

    `ticket` is the number of the last ticket, 0 without one.
    """

    version: int = 0
    text: str | None = field(default=None, repr=False)
    ticket: int = 0


class ParameterStore(AwsStore[Parameter]):
    """A parameter of AWS; see `rotator.stores.port.SecretStore` for the promises."""

    _made = 1  # the version of a parameter that `_create_if_missing` has created

    def __init__(
        self,
        address: ParameterAddress,
        client: Callable[[], AwsClient],
        patience: float = PATIENCE,
        *,
        throttle: Throttle | None = None,
    ) -> None:
        self._address, self._holder = address, address.holder
        field = self._holder.field
        super().__init__(address.canonical, field, address, client, patience, throttle=throttle)

    def earlier_secrets(self) -> Iterator[str]:
        """Yield the tokens of the versions before, of which AWS keeps a hundred."""
        with name_errors(self.url):
            texts = [str(each.get("Value", "")) for each in self._history()]
            values = [secret_in(_text(text), self._address.field) for text in texts[-2::-1]]
        yield from filter(None, values)

    def scratch(self) -> "ScratchParameter":
        """Return the scratch place: another parameter, with the tags and the ticket of this one."""
        return ScratchParameter(
            self._address.scratch, self._client, self._patience, throttle=self._throttle
        )

    def provenance(self) -> Provenance:
        """Tell when the parameter was last changed."""
        with name_errors(self.url):
            found = self._get() or {}
        changed_at = found.get("LastModifiedDate")
        return Provenance(changed_at=changed_at if isinstance(changed_at, datetime) else None)

    def _trials(self, state: Parameter) -> Trials:
        absent = () if state.version else (_NO_RESOURCE,)

        def put() -> None:
            if state.version:  # AWS refuses one that is there; else it is the same text again
                self._put(state.text or _NOTHING, {}, tolerated=(_EXISTS,), overwrite=False)
            self._take_ticket(overwrite=False)

        return {
            "GetParameterHistory": self._last,
            "PutParameter": put,
            "AddTagsToResource": lambda: self._tag(
                "AddTagsToResource", ("ValidationException", *absent), Tags=[]
            ),
            "RemoveTagsFromResource": lambda: self._tag(
                "RemoveTagsFromResource", absent, TagKeys=["rotator:none"]
            ),
        }

    def _read(self, *, to_write: bool) -> tuple[Parameter, str | None, Mapping[str, str]]:
        # First, or it would stand for what others do while the rest is read.
        ticket = self._read_ticket() if to_write else 0
        found = self._get()
        if found is None:
            about = self._tag("ListTagsForResource", (_NO_RESOURCE,)) or {}
            return Parameter(ticket=ticket), None, self._read_tags(about.get("TagList"))
        kind, version = str(found.get("Type")), found.get("Version")
        if not isinstance(found.get("Value"), str) or not isinstance(version, int):
            raise failures.no_aws(self._address)
        if to_write and kind != _SECURE:
            raise StoreError(
                f"this parameter is a {kind}, which is not encrypted: delete it, and create it as a"
                " SecureString"
            )
        text = _text(found["Value"])
        about = self._tag("ListTagsForResource") or {}
        state = Parameter(version, text, ticket)
        return state, secret_in(text, self._address.field), self._read_tags(about.get("TagList"))

    def _get(self) -> dict[str, Any] | None:
        tolerated = (_NOT_FOUND,) if self._address.create else ()
        answer = self._ask("GetParameter", tolerated, Name=self._address.name, WithDecryption=True)
        if answer is None:
            return None
        found = answer.get("Parameter")
        if not isinstance(found, dict):
            raise failures.no_aws(self._address)
        return found

    def _history(self) -> list[dict[str, Any]]:
        """Return all versions of the parameter that has the tags, the newest last."""
        versions: list[dict[str, Any]] = []
        more: dict[str, str] = {}
        tolerated = (_NOT_FOUND,) if self._holder.create else ()
        for _ in range(_MOST_PAGES):
            page = self._ask(
                "GetParameterHistory",
                tolerated,
                Name=self._holder.name,
                WithDecryption=True,
                MaxResults=_PAGE,
                **more,
            )
            versions += (page or {}).get("Parameters") or []
            if not page or not page.get("NextToken"):
                break
            more = {"NextToken": page["NextToken"]}
        return sorted(versions, key=lambda each: int(each.get("Version") or 0))

    def _last(self) -> dict[str, Any]:
        """Return what is to be kept of the newest version; raises `StoreError` for policies."""
        last: dict[str, Any] = next(reversed(self._history()), {})
        if last.get("Policies"):
            raise StoreError(
                "this parameter has policies, such as an expiration, which a new version may lose:"
                " use one without"
            )
        return {key: last[key] for key in _KEPT if last.get(key)}

    def _create_if_missing(self, state: Parameter) -> None:
        # Who creates it meanwhile wins or loses the ticket, as if it had been there.
        if not state.version:
            key = {"KeyId": self._address.kms_key_id} if self._address.kms_key_id else {}
            nothing = _NOTHING if self._address.field is None else "{}"
            self._put(nothing, key, tolerated=(_EXISTS,), overwrite=False)

    def _set_tags(self, new: Tags, removed: list[str]) -> None:
        if new:
            self._tag("AddTagsToResource", Tags=new)
        if removed:
            self._tag("RemoveTagsFromResource", TagKeys=removed)

    def _replace(self, state: Parameter, secret: str) -> bool:
        return self._write(state, with_secret(state.text, self._address.field, secret))

    def _repeat(self, state: Parameter) -> bool:
        """Take a ticket: whoever writes with an older one finds out, and puts it right."""
        return state.text is not None and self._take_ticket() == state.ticket + 1

    def _write(self, state: Parameter, text: str) -> bool:
        """Write if nobody else has, since `state` was read; return False if somebody has.

        Two who read the same take two tickets, of which only the next one counts. One that was
        asleep between its ticket and its write finds a later ticket, and undoes what it did.
        """
        kept = self._last()
        longest = _LONGEST.get(kept.get("Tier", "Standard"), _LONGEST["Advanced"])
        if len(text) > longest:
            raise StoreError(f"AWS takes parameters of up to {longest} characters here: see Tier")
        if not self._claim(state):
            return False
        written = self._put(text, kept)
        if self._read_ticket() <= state.ticket + 1:  # an older one is an outdated answer
            return True
        self._undo(written, kept)
        return False

    def _claim(self, state: Parameter) -> bool:
        """Take the next ticket; return False where somebody else has, or has written since."""
        before = state.version or self._made
        is_next = self._take_ticket() == state.ticket + 1
        return is_next and (self._get() or {}).get("Version", 0) == before

    def _undo(self, written: int | None, kept: Mapping[str, Any]) -> None:
        """Put back what was there before a version of ours that nobody has written over."""
        for _ in range(_MOST_UNDONE):
            *before, last = self._history() or [{}]
            if last.get("Version") != written or not before:
                return
            written = self._put(str(before[-1]["Value"]), kept)
            if written == last["Version"] + 1:
                return

    def _put(
        self,
        text: str,
        kept: Mapping[str, Any],
        *,
        tolerated: tuple[str, ...] = (),
        overwrite: bool = True,
    ) -> int | None:
        """Return the number of the version that was made."""
        given = {"Name": self._address.name, "Value": text, "Type": _SECURE, **kept}
        answer = self._ask("PutParameter", tolerated, Overwrite=overwrite, **given)
        return None if answer is None else answer.get("Version")

    def _take_ticket(self, *, overwrite: bool = True) -> int | None:
        answer = self._ask(
            "PutParameter",
            (_EXISTS,),
            Name=self._address.ticket,
            Value=str(uuid.uuid4()),
            Type="String",
            Overwrite=overwrite,
        )
        return None if answer is None else answer.get("Version")

    def _read_ticket(self) -> int:
        answer = self._ask("GetParameter", (_NOT_FOUND,), Name=self._address.ticket)
        return int(((answer or {}).get("Parameter") or {}).get("Version") or 0)

    def _tag(
        self,
        operation: str,
        tolerated: tuple[str, ...] = (),
        **given: Any,  # noqa: ANN401 - boto3 has no types
    ) -> dict[str, Any] | None:
        resource = {"ResourceType": "Parameter", "ResourceId": self._holder.name}
        return self._ask(operation, tolerated, **resource, **given)


class ScratchParameter(ParameterStore, NotedScratch[Parameter]):
    """The scratch place of a rehearsal: a parameter beside a secret that is there already.

    It is encrypted with the same key, and has the same tier. What is known of it stands in the tags
    of the secret, so that no canary is there of which they do not tell.
    """

    _made = 0

    def preflight(self) -> None:
        """Prove the rights to all calls but PutParameter, whose only trial is to do it."""
        super().preflight()
        with name_errors(self.url):
            if not self._history():
                raise StoreError(
                    "cannot be rehearsed: there is no such parameter yet; rotator rotate makes it"
                )

    def _trials(self, state: Parameter) -> Trials:
        trials = {**super()._trials(state)}
        trials["PutParameter"] = lambda: self._take_ticket(overwrite=False)
        if not state.version:
            # If a canary comes just now, its rehearsal misses it, and says so: no bot reads it.
            trials["DeleteParameter"] = self._drop
        return trials

    def _create_if_missing(self, state: Parameter) -> None:
        """Create nothing: the notes have their place already."""

    def _delete(self, state: Parameter) -> bool:
        is_ours = self._claim(state)
        if is_ours:
            self._drop()
        return is_ours

    def _undo(self, written: int | None, kept: Mapping[str, Any]) -> None:  # noqa: ARG002 - nothing was there before
        if (self._get() or {}).get("Version") == written:
            self._drop()

    def _drop(self) -> None:
        self._ask("DeleteParameter", (_NOT_FOUND,), Name=self._address.name)


def _text(value: str) -> str | None:
    return None if value == _NOTHING else value
