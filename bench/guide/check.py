"""The guide's look at a token, its two mistakes included; it needs a `.env` where it starts."""

from datetime import datetime

import jwt
import requests  # noqa: F401 - the guide imports it here, too

with open(".env") as env:  # noqa: PTH123 - as plain as the guide
    pairs = dict(line.strip().split("=", 1) for line in env if "=" in line)
claims = jwt.decode(pairs["NOCTURNA_SERVICE_TOKEN"], options={"verify_signature": False})
days_left = (datetime.fromtimestamp(claims["exp"]) - datetime.now()).days  # noqa: DTZ005, DTZ006 - the first mistake: local time
if days_left and days_left < 7:  # noqa: PLR2004 - the second: 0 days left is not due
    print(f"{days_left} days left: renew the token")
else:
    print(f"{days_left} days left")
