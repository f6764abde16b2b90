"""A bot that wakes once a week, and then uses the token that it read the week before."""

from dataclasses import dataclass, field

import requests

from tests.examples.life import Call
from tests.support.sandbox import BIRTH
from tests.support.waiting import PATIENCE
from tests.support.world import EXCHANGE, World


@dataclass
class WeeklyBot:
    """Remembers its calls; `exchanges` are those that were answered."""

    world: World
    calls: list[Call] = field(default_factory=list)
    exchanges: int = 0

    def __post_init__(self) -> None:
        self._secret = self.world.secret()

    def holds(self, secret: str) -> bool:
        return self._secret == secret

    def wake(self) -> None:
        """Do the work of a week in one call, and read the token for the next one."""
        self.calls.append(Call(self.world.clock.now, answered=self._work()))
        self._secret = self.world.secret()

    def _work(self) -> bool:
        with requests.Session() as session:
            session.trust_env = False
            url, bearer = self.world.api.url, {"Authorization": f"Bearer {self._secret}"}
            answer = session.post(f"{url}{EXCHANGE}", headers=bearer, timeout=PATIENCE)
            if not answer.ok:
                return False
            self.exchanges += 1
            bearer = {"Authorization": f"Bearer {answer.json()['access_token']}"}
            url = f"{url}/stateless/natal-chart"
            return session.post(url, json=BIRTH, headers=bearer, timeout=PATIENCE).ok
