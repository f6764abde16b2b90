"""`python -m tests.soak`: let the daemon work under trouble for a time; exit 1 if it grows."""

import argparse
import secrets
import signal
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from random import Random

import tests.aws.site as aws_site
import tests.kubernetes.site as kubernetes_site
import tests.vault.site as vault_site
from tests.soak.fleet import Servers
from tests.soak.growth import SLACK, draw, find_growth
from tests.soak.soak import Soak
from tests.support.crew import ALL_STORES, Crew


def main() -> int:
    """Return 0 if the daemon kept all promises and did not grow; raises AssertionError if not."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30, help="[30]")
    parser.add_argument("--tokens", type=int, default=200, help="[200]")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2**32), help="[random]")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="write the curves there, as SVG")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # and end the daemons first
    _tell(f"seed {given.seed}, {given.tokens} tokens, {given.minutes:g} minutes")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rotator-soak-")))
        servers = Servers(
            stack.enter_context(vault_site.run_bao()),
            stack.enter_context(aws_site.running()),
            stack.enter_context(kubernetes_site.running(None)),
        )
        crew = stack.enter_context(Crew(*ALL_STORES))
        soak = Soak(servers, crew, folder, Random(given.seed))  # noqa: S311 - no secret
        with soak.running(given.tokens):
            end = time.monotonic() + given.minutes * 60
            while not soak.cycles or time.monotonic() < end:
                soak.cycle()
                _tell(_progress(soak))
    if given.plot:
        title = f"rotator daemon, {given.tokens} tokens in four kinds of store"
        given.plot.write_text(draw(soak.samples, title))
    for name in SLACK:
        values = [getattr(each, name) for each in soak.samples]
        _tell(f"{name:12} first {values[0]:.0f}, most {max(values):.0f}, last {values[-1]:.0f}")
    growth = find_growth(soak.samples)
    _tell("\n".join(growth) or "no growth, and every promise was kept")
    return 1 if growth else 0


def _tell(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _progress(soak: Soak) -> str:
    last = soak.samples[-1]
    return (
        f"{soak.hours:.0f} h: {soak.fleet.minted()} mints, {len(soak.api.calls)} calls of the API,"
        f" {soak.kills} kills; {last.memory:.0f} MiB, {last.threads} threads,"
        f" {last.descriptors} descriptors, {last.connections} connections"
    )


if __name__ == "__main__":
    sys.exit(main())
