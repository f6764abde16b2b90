"""Part a: looking at one token in a `.env`, which is start-up time and little else."""

from pathlib import Path

from bench import envfile
from bench.api import Api
from bench.pairs import compare
from bench.processes import guide, rotator
from bench.table import Row

TURNS = 60
AT_MOST = 1.0
METHOD = """\
`rotator check` of a token that is not due, and the guide's check.py: `import jwt, requests`, the
token out of .env in plain Python (python-dotenv, which we use, would cost it more), decode without
verifying, compare, print.
"""


def measure(folder: Path) -> list[Row]:
    """Compare `rotator check` with the guide's script."""
    with Api(call_delay=0, login_cpu=0) as api:
        envfile.write(folder / "bot", *api.issue(1, days=60))
    ours = rotator("check", folder / "bot", {"ROTATOR_STORE": "dotenv:.env"})
    theirs = guide("check.py", folder / "bot", {})
    return [compare(TURNS, ours.run, theirs.run).row("(a) check one token", AT_MOST)]
