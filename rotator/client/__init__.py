"""A library for bots: access tokens that are always valid, and `auth=` for requests.

    manager = TokenManager("https://your-api-server.com/api", "dotenv:.env")
    session = requests.Session()
    session.auth = NocturnaAuth(manager)

For httpx import `NocturnaAuth` from `rotator.client.httpx`. Of other packages this one needs only
requests and PyJWT.
"""

from rotator.client.requests import NocturnaAuth
from rotator.client.service_token import TokenManager
from rotator.client.status import TokenStatus, token_status
from rotator.client.user import UserSession
from rotator.errors import ServiceTokenRefusedError, ServiceTokenUnavailableError

__all__ = [
    "NocturnaAuth",
    "ServiceTokenRefusedError",
    "ServiceTokenUnavailableError",
    "TokenManager",
    "TokenStatus",
    "UserSession",
    "token_status",
]
