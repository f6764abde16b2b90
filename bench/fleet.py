"""Part c: a thousand due tokens, each in a `.env` of its own; time, and memory per token."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from statistics import median

from bench import envfile
from bench.api import CALL_DELAY, LOGIN, LOGIN_CPU, MINT, Api
from bench.processes import FailedRunError, Run, guide, rotator
from bench.table import Row

MANY, FEW = 1000, 100
ROUNDS = (7, 7, 6)  # the guide's rotations in each, before ours
TIMES_FASTER = 40
KIB_PER_TOKEN = 20
METHOD = f"""\
`rotator rotate` of {MANY:,} due tokens, and the guide's way on {sum(ROUNDS)} one after another,
multiplied by {MANY // sum(ROUNDS)}. "real" API as in (b), new in each of {len(ROUNDS)} rounds,
whose median ours is. Each run of ours is checked: exit 0, one login, one mint a token, and in each
.env a new token that the API accepts. Memory is the peak (ru_maxrss) with {MANY:,} tokens less that
with {FEW}, by the token; medians as well.
"""
_CONFIG = '[[token]]\nname = "bot-{number}"\nstores = ["dotenv:{number}/.env"]\n'


def measure(folder: Path) -> list[Row]:
    """Take turns between the guide's way on a few tokens and ours on all of them."""
    theirs: list[Run] = []
    many: list[Run] = []
    few: list[Run] = []
    with Api(call_delay=0, login_cpu=0) as api:  # not measured, as in the other parts
        _guided(api, folder / "guide", 1)
        rotate_all(api, folder / "ours", 2)
    for number, size in enumerate(ROUNDS):
        place = folder / str(number)
        with Api(call_delay=CALL_DELAY, login_cpu=LOGIN_CPU) as api:
            theirs += _guided(api, place / "guide", size)
            many.append(rotate_all(api, place / "many", MANY))
            few.append(rotate_all(api, place / "few", FEW))
    return [_time(many, theirs), _memory(many, few)]


def _time(many: list[Run], theirs: list[Run]) -> Row:
    ours = median(run.seconds for run in many)
    extrapolated = sum(run.seconds for run in theirs) * MANY / len(theirs)
    times = [extrapolated / run.seconds for run in many]
    return Row(
        what=f"(c) fleet of {MANY:,}",
        ours=f"{ours:.2f} s",
        theirs=f"{extrapolated:.0f} s",
        ratio=f"{extrapolated / ours:.0f} x faster",
        quartiles=f"{min(times):.0f}-{max(times):.0f} (all)",
        target=f">= {TIMES_FASTER} x",
        met=extrapolated / ours >= TIMES_FASTER,
    )


def _memory(many: list[Run], few: list[Run]) -> Row:
    peaks = [median(run.peak for run in runs) for runs in (many, few)]
    growth = (peaks[0] - peaks[1]) / (MANY - FEW)
    return Row(
        what=f"(c) memory, {FEW} to {MANY:,}",
        ours=f"{peaks[1] / 1024:.1f} to {peaks[0] / 1024:.1f} MiB",
        theirs="–",
        ratio=f"{growth:.1f} KiB/token",
        target=f"<= {KIB_PER_TOKEN} KiB",
        met=growth <= KIB_PER_TOKEN,
    )


def _guided(api: Api, folder: Path, size: int) -> list[Run]:
    numbers = count()
    bots = [envfile.write(folder / str(next(numbers)), token) for token in api.issue(size)]
    return [guide("rotate.py", bot, api.variables).run() for bot in bots]


def rotate_all(api: Api, folder: Path, size: int) -> Run:
    """Rotate so many due tokens; raises `FailedRunError` unless each has a new one."""
    with rotated(api, folder, size, logins=1):
        return rotator("rotate", folder, api.variables).run()


@contextmanager
def rotated(api: Api, folder: Path, size: int, *, logins: int) -> Iterator[None]:
    """Make so many due tokens; raises `FailedRunError` unless each has a new one in the end."""
    tokens = api.issue(size)
    bots = [envfile.write(folder / str(number), token) for number, token in enumerate(tokens)]
    config = "".join(_CONFIG.format(number=number) for number in range(size))
    (folder / "rotator.toml").write_text(config)
    before = api.calls()
    yield
    made = api.calls() - before
    held = {envfile.read(bot) for bot in bots} - set(tokens)
    wanted = (logins, size, size, size)
    found = (made[LOGIN], made[MINT], len(held), api.accepted(list(held)))
    if found != wanted:
        raise FailedRunError(
            f"of {size} tokens: logins, mints, new tokens held, accepted: {found}, not {wanted}"
        )
