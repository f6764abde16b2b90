"""Part f: ten thousand `.env` files of which none is due, beside the loop anybody would write."""

from pathlib import Path
from statistics import median, quantiles

from bench import envfile
from bench.api import Api
from bench.processes import python, rotator
from bench.table import Row

TOKENS = 10_000
TURNS = 7
AT_MOST = 1.5
METHOD = f"""\
`rotator check`, and `rotator rotate` with `probe = false`, of {TOKENS:,} tokens in `.env` files,
none due; and bench/bare.py, which reads each file with python-dotenv and its token with PyJWT, and
compares the expiry. All three in each turn, one after another, over the same files. Beside the
time on the clock stands the processor time, which other programs of the machine disturb less.
"""
_HEAD = "[defaults]\nprobe = false\n"
_ENTRY = '[[token]]\nname = "bot-{number}"\nstores = ["dotenv:{number}/.env"]\n'


def measure(folder: Path) -> list[Row]:
    """Compare both commands with the loop."""
    variables = fill(folder, TOKENS)
    programs = [
        rotator("check", folder, variables),
        rotator("rotate", folder, variables),
        python("bench.bare", folder, str(TOKENS)),
    ]
    turns = [[program.run() for program in programs] for _ in range(TURNS + 1)][1:]
    rows = []
    for at, name in enumerate(("check", "rotate")):
        clock = [(turn[at].seconds, turn[-1].seconds) for turn in turns]
        cpu = [(turn[at].cpu, turn[-1].cpu) for turn in turns]
        rows.append(compared(f"(f) {name} {TOKENS:,} .env, {TURNS} turns", clock, AT_MOST))
        rows.append(compared("    its processor time", cpu, None))
    return rows


def fill(folder: Path, count: int) -> dict[str, str]:
    """Make a fleet of which no token is due; return the variables that its commands need."""
    with Api(call_delay=0, login_cpu=0) as api:
        for number, token in enumerate(api.issue(count, days=60)):
            envfile.write(folder / str(number), token)
        tokens = (_ENTRY.format(number=number) for number in range(count))
        (folder / "rotator.toml").write_text(_HEAD + "".join(tokens))
        return api.variables


def compared(what: str, turns: list[tuple[float, float]], at_most: float | None) -> Row:
    """Return the medians of the turns, ours and theirs in seconds, as a row of the table."""
    ours, theirs = (median(turn[who] for turn in turns) for who in (0, 1))
    low, _, high = quantiles([turn[0] / turn[1] for turn in turns], n=4)
    return Row(
        what=what,
        ours=f"{ours:.2f} s",
        theirs=f"{theirs:.2f} s",
        ratio=f"{ours / theirs:.2f}",
        quartiles=f"{low:.2f}-{high:.2f}",
        target="none" if at_most is None else f"<= {at_most:.2f}",
        met=None if at_most is None else ours / theirs <= at_most,
    )
