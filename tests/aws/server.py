"""moto's server in a process of its own: `python -m tests.aws.server` prints its port.

Where the store relies on AWS and moto differs, moto is changed. One request at a time, as its
Secrets Manager is not made for two: PutSecretValue would lose tags that are set meanwhile. It ends
with its standard input, which dies with whoever started it.
"""

import json
import os
import re
import sys
import threading
from collections.abc import Callable, Iterable
from functools import cache
from itertools import islice
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from moto.secretsmanager.exceptions import InvalidParameterException
from moto.secretsmanager.models import SecretsManagerBackend, SecretsStore, _matches
from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.wrappers import Response


class _Quiet(WSGIRequestHandler):
    def log_request(self, *_: object) -> None:
        """Say nothing."""


class LikeAws:
    """Denies as Secrets Manager does: moto answers with the XML of older services."""

    def __init__(self) -> None:
        self._moto = DomainDispatcherApplication(create_backend_app)
        # It would look into all folders of moto for each request.
        self._moto.get_backend_for_host = cache(self._moto.get_backend_for_host)

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        response = Response.from_app(self._moto, environ, buffered=True)
        denied = re.search(
            r"<Code>AccessDenied</Code><Message>(.*)</Message>", response.get_data(as_text=True)
        )
        if denied and "HTTP_X_AMZ_TARGET" in environ:
            body = {"__type": "AccessDeniedException", "Message": denied[1]}
            response = Response(json.dumps(body), 400, mimetype="application/x-amz-json-1.1")
        return response(environ, start_response)


def ignore_repeated_puts() -> None:
    """Have a put of a version that is there ignored, as AWS does: moto moves labels.

    https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_PutSecretValue.html
    """
    put = SecretsManagerBackend.put_secret_value

    def put_secret_value(backend: SecretsManagerBackend, **given: Any) -> str:  # noqa: ANN401 - moto has no types
        secret: Any = backend.secrets.get(given["secret_id"])
        version = given["client_request_token"]
        known = getattr(secret, "versions", {}).get(version, {})
        if "secret_string" in known and known["secret_string"] == given["secret_string"]:
            return str(secret.to_short_dict(include_version_stages=True, version_id=version))
        return str(put(backend, **given))

    SecretsManagerBackend.put_secret_value = put_secret_value


def refuse_labels_that_are_elsewhere() -> None:
    """Have a label moved only from where it is said to be, as AWS does: moto looks at AWSCURRENT.

    https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_UpdateSecretVersionStage.html
    """
    move = SecretsManagerBackend.update_secret_version_stage

    def update_secret_version_stage(backend: SecretsManagerBackend, **given: Any) -> Any:  # noqa: ANN401 - moto has no types
        secret: Any = backend.secrets.get(given["secret_id"])
        versions = getattr(secret, "versions", {}).items()
        label, origin = given["version_stage"], given["remove_from_version_id"]
        holders = {version for version, each in versions if label in each["version_stages"]}
        if given["move_to_version_id"] and holders - {origin, given["move_to_version_id"]}:
            raise InvalidParameterException(f"{label} is attached to another version")
        return move(backend, **given)

    SecretsManagerBackend.update_secret_version_stage = update_secret_version_stage


def answer_with_the_current_version() -> None:
    """Have AWSCURRENT answered where nothing else is asked for: moto takes what was put last.

    https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_BatchGetSecretValue.html
    """
    get = SecretsManagerBackend.get_secret_value

    def get_secret_value(
        backend: SecretsManagerBackend, secret_id: str, version_id: str, version_stage: str
    ) -> Any:  # noqa: ANN401 - moto has no types
        is_any = not (version_id or version_stage)
        return get(backend, secret_id, version_id, "AWSCURRENT" if is_any else version_stage)

    SecretsManagerBackend.get_secret_value = get_secret_value


def find_by_name() -> None:
    """Have a secret found by its name at once: moto looks at all others first."""
    get, item, has = SecretsStore.get, SecretsStore.__getitem__, SecretsStore.__contains__
    store = SecretsStore
    store.get = lambda self, key: dict.get(self, key) or get(self, key)
    store.__getitem__ = lambda self, key: dict.get(self, key) or item(self, key)
    store.__contains__ = lambda self, key: dict.__contains__(self, key) or has(self, key)


def describe_what_is_on_the_page() -> None:
    """Have a page of a list take as long as its secrets: moto describes all for each page."""

    def list_secrets(
        backend: SecretsManagerBackend,
        filters: list[dict[str, Any]],
        max_results: int | None,
        next_token: str | None,
        include_planned_deletion: bool,  # noqa: FBT001 - as moto calls it
    ) -> tuple[list[dict[str, Any]], str | None]:
        page: list[dict[str, Any]] = []
        every, start = enumerate(backend.secrets.values()), int(next_token or 0)
        for number, secret in islice(every, start, None):
            if len(page) == (max_results or 100):
                return page, str(number)
            is_shown = include_planned_deletion or not secret.deleted_date
            if is_shown and _matches(secret, filters):
                page.append(secret.to_dict())
        return page, None

    SecretsManagerBackend.list_secrets = list_secrets


def main() -> None:
    find_by_name()
    describe_what_is_on_the_page()
    answer_with_the_current_version()
    ignore_repeated_puts()
    refuse_labels_that_are_elsewhere()
    server = make_server("127.0.0.1", 0, LikeAws(), request_handler=_Quiet)
    sys.stdout.write(f"{server.server_port}\n")
    sys.stdout.flush()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
