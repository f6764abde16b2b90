"""`python -m bench.bare COUNT`: the loop that anybody would write over `.env` files.

python-dotenv reads each `NUMBER/.env` of the current folder, and PyJWT the token in it; prints how
many are due.
"""

import sys
from datetime import UTC, datetime, timedelta

import jwt
from dotenv import dotenv_values

from bench.envfile import VARIABLE

_RENEW_BEFORE = timedelta(days=7)


def main() -> None:
    """Look at each file once."""
    now, due = datetime.now(UTC), 0
    for number in range(int(sys.argv[1])):
        token = dotenv_values(f"{number}/.env")[VARIABLE] or ""
        claims = jwt.decode(token, options={"verify_signature": False})
        due += datetime.fromtimestamp(claims["exp"], UTC) - now < _RENEW_BEFORE
    print(due)


if __name__ == "__main__":
    main()
