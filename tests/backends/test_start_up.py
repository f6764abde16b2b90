"""A look at one kind of store costs the import of its own SDK, and of no other."""

import json
import os
import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.backends.conftest import KINDS
from tests.backends.kinds import Site
from tests.support.process import Runner
from tests.support.sandbox import Sandbox

SDKS = {"vault": "hvac", "aws": "boto3", "kubernetes": "yaml"}
TOKEN = '[[token]]\nname = "{}"\nstores = ["{}"]\n'
CHECK = """
import json, sys
from rotator.__main__ import main
sys.argv = ["rotator", "check", sys.argv[1]]
status = main()
print(json.dumps([status, sorted(name for name in sys.modules if "." not in name)]))
"""


@pytest.mark.sample(2)
@pytest.mark.parametrize("kind", ["dotenv", *KINDS])
def test_only_the_sdk_of_the_kind_that_is_looked_at_is_imported(
    new_site: Callable[[str], Site], rotator: Runner, api: Sandbox, kind: str
) -> None:
    rotator.write_env(token := api.issue(days=60))
    config = TOKEN.format("dotenv", "dotenv:.env")
    for each in KINDS:
        site = new_site(each)
        site.put(token)
        rotator.env |= site.variables(site.upstream)
        config += TOKEN.format(each, site.store_url)
    (rotator.folder / "rotator.toml").write_text(config)
    del rotator.env["ROTATOR_STORE"]
    ran = subprocess.run(
        [sys.executable, "-c", CHECK, kind],
        cwd=rotator.folder,
        env={**os.environ, **rotator.env},
        capture_output=True,
        text=True,
        check=True,
    )
    status, modules = json.loads(ran.stdout.splitlines()[-1])
    assert status == 0, ran.stdout
    expected = {SDKS[kind]} if kind in SDKS else set()
    assert set(modules) & set(SDKS.values()) == expected
    if kind == "dotenv":
        assert "requests" not in modules
