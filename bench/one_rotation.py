"""Part b: one rotation of a due token, from its expiry to the new token."""

from itertools import count
from pathlib import Path

from bench import envfile
from bench.api import CALL_DELAY, LOGIN_CPU, Api
from bench.pairs import Comparison, compare
from bench.processes import FailedRunError, Run, guide, rotator
from bench.table import Row

TURNS = 20
AT_MOST = 0.8
METHOD = f"""\
`rotator rotate` of a due token (look, mint, verify by claims and exchange, write safely), and the
guide's rotate.py, which looks and starts create_token.py, which logs in, mints and prints. The API
is the embedded one in a process of its own. "real" costs what the real one does: each call
{CALL_DELAY * 1000:.0f} ms, and a login {LOGIN_CPU * 1000:.0f} ms of processor time.
"free" costs nothing, so that the programs themselves are compared; the target is for this one: of
"real" more than half is the API's own time, the same on both sides.
"""


def measure(folder: Path) -> list[Row]:
    """Compare with an API that costs nothing, and with one like the real one."""
    free = _compared(folder / "free", call_delay=0, login_cpu=0)
    real = _compared(folder / "real", call_delay=CALL_DELAY, login_cpu=LOGIN_CPU)
    return [
        free.row("(b) one rotation, free API", AT_MOST),
        real.row("(b) one rotation, real API", None),
    ]


def _compared(folder: Path, *, call_delay: float, login_cpu: float) -> Comparison:
    with Api(call_delay=call_delay, login_cpu=login_cpu) as api:
        tokens = iter(api.issue(2 * (TURNS + 1)))
        numbers = count()

        def ours() -> Run:
            token = next(tokens)
            bot = envfile.write(folder / str(next(numbers)), token)
            run = rotator("rotate", bot, {**api.variables, "ROTATOR_STORE": "dotenv:.env"}).run()
            if envfile.read(bot) == token or not api.accepted([envfile.read(bot)]):
                raise FailedRunError(f"rotator rotate left no new token: {run.output}")
            return run

        def theirs() -> Run:
            bot = envfile.write(folder / str(next(numbers)), next(tokens))
            run = guide("rotate.py", bot, api.variables).run()
            if not api.accepted([run.output.strip()]):
                raise FailedRunError(f"the guide's rotate.py printed no new token: {run.output}")
            return run

        return compare(TURNS, ours, theirs)
