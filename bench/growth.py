"""Part g: from ten tokens to ten thousand: time, memory and requests, also as a picture."""

from pathlib import Path
from statistics import correlation, linear_regression

from bench import envfile, picture
from bench.api import Api
from bench.processes import FailedRunError, Run, rotator
from bench.table import Row

SIZES = (10, 1000, 2500, 5000, 10_000)
KIB_PER_TOKEN = 10
STRAIGHT = 0.99  # the square of the correlation with the number of tokens
PICTURE = Path(__file__).parents[1] / "docs" / "screenshots" / "growth.svg"
METHOD = f"""\
`rotator rotate` of {", ".join(f"{size:,}" for size in SIZES)} tokens in `.env` files, none due,
each asked about at the API (`probe`), which adds nothing to a call. Processor time of the process,
its peak of memory (ru_maxrss), and the calls that the API answered with 200. "straight" is the
square of their correlation with the number of tokens; memory is the slope from {SIZES[1]:,} tokens
on. The picture is {PICTURE.relative_to(PICTURE.parents[2])}.
"""
_ENTRY = '[[token]]\nname = "bot-{number}"\nstores = ["dotenv:{number}/.env"]\n'


def measure(folder: Path) -> list[Row]:
    """Run fleets of all sizes, after one that is not measured, and draw what they took."""
    _looked(folder / "before", SIZES[0])
    runs = [_looked(folder / str(size), size) for size in SIZES]
    seconds = [run.cpu for run, _ in runs]
    memory = [run.peak / 1024 for run, _ in runs]
    calls = [float(count) for _, count in runs]
    curves = {"s of processor time": seconds, "MiB at most": memory, "requests": calls}
    PICTURE.write_text(picture.draw("tokens", SIZES, curves))
    slope = linear_regression(SIZES[1:], memory[1:]).slope * 1024
    return [
        *(_straight(name, values) for name, values in curves.items()),
        Row(
            what=f"(g) memory by the token of {SIZES[-1]:,}",
            ours=f"{memory[-1]:.1f} MiB in all",
            theirs="–",
            ratio=f"{slope:.1f} KiB/token",
            target=f"<= {KIB_PER_TOKEN} KiB",
            met=slope <= KIB_PER_TOKEN,
        ),
    ]


def _straight(name: str, values: list[float]) -> Row:
    share = correlation(SIZES, values) ** 2
    return Row(
        what=f"(g) {SIZES[0]} to {SIZES[-1]:,}: {name}",
        ours=f"{values[0]:.1f} to {values[-1]:,.1f}",
        theirs="–",
        ratio=f"{share:.4f} straight",
        target=f">= {STRAIGHT}",
        met=share >= STRAIGHT,
    )


def _looked(folder: Path, size: int) -> tuple[Run, int]:
    with Api(call_delay=0, login_cpu=0) as api:
        for number, token in enumerate(api.issue(size, days=60)):
            envfile.write(folder / str(number), token)
        tokens = "".join(_ENTRY.format(number=number) for number in range(size))
        (folder / "rotator.toml").write_text(tokens)
        run = rotator("rotate", folder, api.variables).run()
        calls = api.calls().total()
    if calls < size:
        raise FailedRunError(f"the API was asked {calls} times about {size} tokens")
    return run, calls
