"""`python -m bench.bare_aws COUNT THREADS`: the loop that anybody would write with boto3.

Reads the secrets `bots/NUMBER`, twenty by one BatchGetSecretValue, looks at the token in each with
PyJWT, and prints how many are due.
"""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import boto3
import jwt
from botocore.config import Config

from bench.envfile import VARIABLE

_AT_ONCE = 20
_RENEW_BEFORE = timedelta(days=7)


def main() -> None:
    """Read each secret once."""
    count, threads = sys.argv[1:]
    client = boto3.client("secretsmanager", config=Config(max_pool_connections=int(threads)))
    names = [f"bots/{number}" for number in range(int(count))]
    now = datetime.now(UTC)

    def count_due(start: int) -> int:
        found = client.batch_get_secret_value(SecretIdList=names[start : start + _AT_ONCE])
        tokens = [json.loads(each["SecretString"])[VARIABLE] for each in found["SecretValues"]]
        claims = [jwt.decode(each, options={"verify_signature": False}) for each in tokens]
        ends = [datetime.fromtimestamp(each["exp"], UTC) for each in claims]
        return sum(end - now < _RENEW_BEFORE for end in ends)

    with ThreadPoolExecutor(int(threads)) as pool:
        print(sum(pool.map(count_due, range(0, len(names), _AT_ONCE))))


if __name__ == "__main__":
    main()
