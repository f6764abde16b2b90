"""Part i: a fleet in Vault of which none is due, beside bare reads with hvac."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from bench.api import Api
from bench.envfile import VARIABLE
from bench.looks import compared
from bench.processes import python, rotator
from bench.table import Row
from tests.vault.bao import ROOT
from tests.vault.site import run_bao

TOKENS = 10_000
TURNS = 3
THREADS = 8  # as many as the rotator has
AT_MOST = 1.2
METHOD = f"""\
`rotator check` of {TOKENS:,} tokens in a real OpenBao (a server for development, on this machine),
none due, and bench/bare_vault.py: {THREADS} threads, each of which reads with its own hvac client,
and looks at the token with PyJWT. In turns, over the same secrets. The server's processor time is
in neither, but on few cores it shares them, and so the clock.
"""
_ENTRY = '[[token]]\nname = "bot-{0}"\nstores = ["vault://secret/bots/{0}#{1}"]\n'


def measure(folder: Path, tokens: int = TOKENS) -> list[Row]:
    """Compare `rotator check` with the loop."""
    folder.mkdir(parents=True)
    with run_bao() as bao:
        with Api(call_delay=0, login_cpu=0) as api:
            secrets, variables = api.issue(tokens, days=60), api.variables

        def put(number: int) -> None:
            body = {"data": {VARIABLE: secrets[number]}}
            bao.call("POST", f"secret/data/bots/{number}", body)

        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(put, range(tokens)))
        config = "".join(_ENTRY.format(number, VARIABLE) for number in range(tokens))
        (folder / "rotator.toml").write_text(config)
        login = {"VAULT_ADDR": bao.url, "VAULT_TOKEN": ROOT}
        ours = rotator("check", folder, {**variables, **login})
        theirs = python("bench.bare_vault", folder, str(tokens), str(THREADS))
        theirs = replace(theirs, variables={**theirs.variables, **login})
        turns = [(ours.run(), theirs.run()) for _ in range(TURNS + 1)][1:]
    clock = [(mine.seconds, other.seconds) for mine, other in turns]
    cpu = [(mine.cpu, other.cpu) for mine, other in turns]
    return [
        compared(f"(i) check {tokens:,} in Vault, {TURNS} turns", clock, AT_MOST),
        compared("    its processor time", cpu, None),
    ]
