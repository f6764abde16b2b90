"""Part k: a fleet in AWS Secrets Manager of which none is due, beside bare batched reads."""

import json
from dataclasses import replace
from pathlib import Path

from bench.api import Api
from bench.envfile import VARIABLE
from bench.looks import compared
from bench.processes import python, rotator
from bench.table import Row
from tests.aws.site import REGION, running

TOKENS = 10_000
TURNS = 3
THREADS = 8  # as many as the rotator has
AT_MOST = 1.3
METHOD = f"""\
`rotator check` of {TOKENS:,} tokens in moto's Secrets Manager, none due, and bench/bare_aws.py:
{THREADS} threads that read twenty secrets with one BatchGetSecretValue of boto3, and look at each
token with PyJWT. The rotator also needs the tags, which hold its journals, and lists the secrets
for that, a hundred in an answer. In turns, over the same secrets. moto answers one request at a
time.
"""
_ENTRY = '[[token]]\nname = "bot-{0}"\nstores = ["aws-secretsmanager://bots/{0}?region={1}#{2}"]\n'


def measure(folder: Path, tokens: int = TOKENS) -> list[Row]:
    """Compare `rotator check` with the loop."""
    folder.mkdir(parents=True)
    with running() as aws:
        with Api(call_delay=0, login_cpu=0) as api:
            secrets, variables = api.issue(tokens, days=60), api.variables
        for number, secret in enumerate(secrets):
            text = json.dumps({VARIABLE: secret})
            aws.operator().create_secret(Name=f"bots/{number}", SecretString=text)
        config = "".join(_ENTRY.format(number, REGION, VARIABLE) for number in range(tokens))
        (folder / "rotator.toml").write_text(config)
        keys = {name.upper(): value for name, value in aws.user("secretsmanager:*").items()}
        login = {"AWS_ENDPOINT_URL": aws.upstream, "AWS_DEFAULT_REGION": REGION, **keys}
        ours = rotator("check", folder, {**variables, **login})
        loop = python("bench.bare_aws", folder, str(tokens), str(THREADS))
        loop = replace(loop, variables={**loop.variables, **login})
        programs = (ours, loop)
        turns = [[program.run() for program in programs] for _ in range(TURNS + 1)][1:]
    clock = [(ours.seconds, bare.seconds) for ours, bare in turns]
    cpu = [(ours.cpu, bare.cpu) for ours, bare in turns]
    return [
        compared(f"(k) check {tokens:,} in AWS, {TURNS} turns", clock, AT_MOST),
        compared("    its processor time", cpu, None),
    ]
