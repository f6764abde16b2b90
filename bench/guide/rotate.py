"""The guide's rotation: look at the token, and start another script to make a new one."""

import subprocess
import sys
from datetime import datetime
from pathlib import Path

import jwt
import requests  # noqa: F401 - the guide imports it here, too

with open(".env") as env:  # noqa: PTH123 - as plain as the guide
    pairs = dict(line.strip().split("=", 1) for line in env if "=" in line)
claims = jwt.decode(pairs["NOCTURNA_SERVICE_TOKEN"], options={"verify_signature": False})
days_left = (datetime.fromtimestamp(claims["exp"]) - datetime.now()).days  # noqa: DTZ005, DTZ006 - as the guide does
if days_left and days_left < 7:  # noqa: PLR2004 - as the guide does
    script = Path(__file__).with_name("create_token.py")
    made = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    print(made.stdout.strip())
