"""The handle on a running server: its address, its accounts, and what tests may do to it."""

import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Self

from rotator.sandbox.faults import Fault
from rotator.sandbox.server import LoopbackServer, Service
from rotator.sandbox.state import Clock, ServiceTokenRow, State, utc_now

_ADMIN = "admin@example.com"
_DAY = timedelta(days=1)
_USUAL_LIFE = timedelta(days=90)


@dataclass(kw_only=True, eq=False)
class Sandbox:
    """An embedded Nocturna API, which runs between `with Sandbox() as api:` and the end of that.

    `clock` returns the server's present as aware UTC. All durations are in seconds: `call_delay`
    is slept in every call, `login_cpu` is processor time burnt in a login while all other calls
    wait, `idle_timeout` ends unused connections. `port` 0 takes any free one.
    """

    clock: Clock = utc_now
    call_delay: float = 0.0
    login_cpu: float = 0.0
    access_lifetime: int = 1800
    refresh_lifetime: int = 7 * 86400
    idle_timeout: float = 5.0
    port: int = 0
    admin_email: str = field(default=_ADMIN, init=False)
    admin_password: str = field(default_factory=lambda: secrets.token_urlsafe(16), repr=False)

    def __post_init__(self) -> None:
        self._state = State(
            self.clock,
            access_lifetime=self.access_lifetime,
            refresh_lifetime=self.refresh_lifetime,
            login_cpu=self.login_cpu,
        )
        self._service = Service(self._state, self.call_delay)
        self._admin = self._state.add_user(self.admin_email, self.admin_password, is_admin=True)

    def __enter__(self) -> Self:
        self._server = LoopbackServer(self._service, port=self.port, idle_timeout=self.idle_timeout)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop()

    @property
    def url(self) -> str:
        """The base URL that users configure: it ends in `/api`."""
        host, port = self._server.address
        return f"http://{host}:{port}/api"

    def add_user(self, email: str, password: str, *, is_admin: bool = False) -> str:
        """Open an account and return its id."""
        with self._state.lock:
            return self._state.add_user(email, password, is_admin=is_admin).id

    def issue(
        self,
        days: float = 3,
        *,
        scope: str = "calculations",
        eternal: bool = False,
        expires_at: datetime | None = None,
        created_at: datetime | None = None,
    ) -> str:
        """Return a service token of the administrator, put into the table as if minted earlier.

        It has `days` left, or lives until `expires_at` (aware UTC). Unless `created_at` says
        otherwise it was minted a day ago, or 90 days before its end if that is longer ago.
        """
        with self._state.lock:
            now = self.clock()
            end = expires_at or now + (36500 * _DAY if eternal else timedelta(days=days))
            row = self._state.add_row(
                self._admin.id,
                scope,
                created_at=created_at or min(now - _DAY, end - _USUAL_LIFE),
                expires_at=end,
                exp=None if eternal else end,
            )
            return row.secret

    def sign(self, claims: dict[str, Any]) -> str:
        """Return a JWT with these claims and the server's own signature, in no table."""
        with self._state.lock:
            return self._state.signer.sign(claims)

    def access_token(self, email: str = _ADMIN) -> str:
        """Return an access token of this account, as a login gives it."""
        with self._state.lock:
            return self._state.access_token(self._state.users[email].id)

    def access_token_for(self, service_token: str) -> str:
        """Return an access token as the exchange of this live service token gives it."""
        with self._state.lock:
            row = self._state.live_row_behind(service_token)
            if row is None:
                raise ValueError("the server would refuse to exchange this token")
            return self._state.access_token(row.user_id, type="access", scope=row.scope)

    @property
    def tokens(self) -> list[ServiceTokenRow]:
        """Every service token ever made, revoked ones included, in the order of making."""
        with self._state.lock:
            return list(self._state.rows)

    def live_tokens(self) -> list[ServiceTokenRow]:
        """Return those that are neither revoked nor expired, in the order of making."""
        now = self.clock()
        return [row for row in self.tokens if row.is_live(now)]

    def accepts(self, token: str) -> bool:
        """Tell whether the exchange would accept this JWT now; leaves `last_used_at` alone."""
        with self._state.lock:
            return self._state.live_row_behind(token) is not None

    def revoke(self, token_id: str) -> None:
        """Revoke a service token behind everybody's back; KeyError when there is none."""
        with self._state.lock:
            row = self._state.row_of(token_id)
            if row is None:
                raise KeyError(token_id)
            row.revoked = True

    @property
    def calls(self) -> list[tuple[str, str, int | None]]:
        """Method, path below `/api` and status of every answer given; None for a reset."""
        return list(self._service.calls)

    @property
    def secrets(self) -> set[str]:
        """Every password, access, refresh and service token that ever was: output has none."""
        with self._state.lock:
            return self._state.secrets()

    def misbehave(self, fault: Fault, call: str | None = None, times: int | None = 1) -> None:
        """Queue a fault for a call such as `POST /auth/login`, so many times.

        `call` is a path or a pattern (`DELETE /auth/admin/service-tokens/{id}`), None for any;
        `times` is None for every time until `behave`.
        """
        self._service.faults.put(fault, call, times)

    def behave(self) -> None:
        """Forget all queued faults."""
        self._service.faults.clear()

    def rotate_signing_key(self) -> None:
        """Change the key: every token issued so far is refused everywhere."""
        with self._state.lock:
            self._state.signer.rotate_key()

    def break_database(self) -> None:
        """Crash every call but `/health`, until `heal`."""
        self._state.database_broken = True

    def heal(self) -> None:
        """Mend the database; what it held is still there."""
        self._state.database_broken = False
