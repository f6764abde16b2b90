"""The bot's side: access tokens that are always fresh, and an `auth=` for requests.

    manager = TokenManager("https://your-api-server.com/api", "dotenv:.env")
    session = requests.Session()
    session.auth = NocturnaAuth(manager)

For httpx there is `rotator.client.httpx`. Of other packages only requests and PyJWT are needed.
"""

from rotator.client.errors import ServiceTokenRefusedError, ServiceTokenUnavailableError
from rotator.client.requests import NocturnaAuth
from rotator.client.service_token import TokenManager
from rotator.client.status import TokenStatus, token_status
from rotator.client.user import UserSession

__all__ = [
    "NocturnaAuth",
    "ServiceTokenRefusedError",
    "ServiceTokenUnavailableError",
    "TokenManager",
    "TokenStatus",
    "UserSession",
    "token_status",
]
