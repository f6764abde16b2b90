from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.mirrors.servers import TOKEN, Github, Gitlab, Serve, serving


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Return what serves a service, to somebody who is logged in."""
    for variable in ("GH_TOKEN", "GITLAB_TOKEN"):
        monkeypatch.setenv(variable, TOKEN)
    with ExitStack() as stack:

        def start(service: Github | Gitlab) -> str:
            url = stack.enter_context(serving(service))
            if isinstance(service, Github):
                monkeypatch.setenv("GITHUB_API_URL", url)
            return url

        yield start
