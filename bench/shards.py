"""Part l: four processes share the due tokens, as the pods of an Indexed Job do."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

from bench.api import Api
from bench.fleet import rotate_all, rotated
from bench.processes import Command, rotator
from bench.table import Row

TOKENS = 400
SHARDS = 4
LATENCY = 0.100  # seconds
TURNS = 3
TIMES_FASTER = 3
METHOD = f"""\
`rotator rotate` of {TOKENS} due tokens as in (c), and {SHARDS} of `rotator rotate --shard` at
once, from the start of the first to the end of the last, at an API that waits
{LATENCY * 1000:.0f} ms before each answer. Each run is checked as in (c), with one login a shard.
"""


def measure(folder: Path) -> list[Row]:
    """Take turns between the shards and one process for all tokens."""
    turns = []
    for number in range(TURNS):
        with Api(call_delay=LATENCY, login_cpu=0) as api:
            one = rotate_all(api, folder / f"one-{number}", TOKENS).seconds
            turns.append((one, _rotate_shards(api, folder / f"shards-{number}")))
    one, shards = (median(turn[who] for turn in turns) for who in (0, 1))
    times = [one / shards for one, shards in turns]
    return [
        Row(
            what=f"(l) {TOKENS} due, {SHARDS} shards",
            ours=f"{shards:.1f} s",
            theirs=f"{one:.1f} s",
            ratio=f"{one / shards:.1f} x faster",
            quartiles=f"{min(times):.1f}-{max(times):.1f} (all)",
            target=f">= {TIMES_FASTER} x",
            met=one / shards >= TIMES_FASTER,
        )
    ]


def _rotate_shards(api: Api, folder: Path) -> float:
    rotate = rotator("rotate", folder, api.variables)
    commands = [
        Command((*rotate.arguments, "--shard", f"{number}/{SHARDS}"), folder, rotate.variables)
        for number in range(SHARDS)
    ]
    with rotated(api, folder, TOKENS, logins=SHARDS), ThreadPoolExecutor(SHARDS) as pool:
        began = time.perf_counter()
        for run in [pool.submit(command.run) for command in commands]:
            run.result()
        return time.perf_counter() - began
