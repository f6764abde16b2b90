"""The guide's way to make a token: log in as the administrator, mint, print."""

import os

import requests

api = os.environ["NOCTURNA_API_URL"]
login = requests.post(  # noqa: S113 - as the guide does
    f"{api}/auth/login",
    data={
        "username": os.environ["NOCTURNA_ADMIN_EMAIL"],
        "password": os.environ["NOCTURNA_ADMIN_PASSWORD"],
    },
)
minted = requests.post(  # noqa: S113 - as the guide does
    f"{api}/auth/admin/service-tokens",
    headers={"Authorization": f"Bearer {login.json()['access_token']}"},
    json={"days": 90, "scope": "calculations"},
)
print(minted.json()["service_token"])
