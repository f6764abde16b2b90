"""The library in an interpreter where only requests and PyJWT are installed."""

import json
import subprocess
import sys

import pytest

from tests.support.sandbox import BIRTH, Sandbox
from tests.support.waiting import PATIENCE

_OTHERS = (
    *("apprise", "apscheduler", "backends", "boto3", "click", "dotenv", "google", "httpx", "hvac"),
    *("yaml", "rich", "rotator.config", "rotator.stores.registry", "rotator.embedded_api"),
)
_BLOCKER = f"""
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if any(name == each or name.startswith(each + ".") for each in {_OTHERS!r}):
            raise ModuleNotFoundError("blocked: " + name, name=name)
sys.meta_path.insert(0, Blocker())
"""


def run(program: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", _BLOCKER + program, *arguments],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def test_it_works_without_any_other_package(api: Sandbox) -> None:
    done = run(
        "import json, os, requests\n"
        "from rotator.client import NocturnaAuth, TokenManager, UserSession, token_status\n"
        "url = sys.argv[1]\n"
        "os.environ['BOT'] = sys.argv[2]\n"
        "auth = NocturnaAuth(TokenManager(url, 'env:BOT'))\n"
        "birth = json.loads(sys.argv[3])\n"
        "answer = requests.post(url + '/stateless/natal-chart', json=birth, auth=auth)\n"
        "print(answer.status_code)\n"
        "print(token_status(sys.argv[2]).is_due)\n"
        "print('asyncio' in sys.modules)\n",
        api.url,
        api.issue(days=3),
        json.dumps(BIRTH),
    )
    assert done.stderr == ""
    assert done.stdout.split() == ["200", "True", "False"]


def test_without_httpx_its_module_says_what_to_install() -> None:
    done = run("import rotator.client.httpx")
    assert done.stderr.splitlines()[-1] == (
        "ModuleNotFoundError: rotator.client.httpx needs httpx, which is not installed:"
        " pip install 'nocturna-rotator[httpx]'"
    )


@pytest.mark.parametrize("name", ["rotator.client", "rotator.client.status"])
def test_the_registry_is_loaded_for_store_urls_only(name: str) -> None:
    done = run(f"import {name}\nprint([n for n in sys.modules if n.startswith('rotator.config')])")
    assert done.stdout == "[]\n"
