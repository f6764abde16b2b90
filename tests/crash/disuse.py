"""An old token that ends when nobody uses it: it takes one more run, and an hour before that."""

from datetime import timedelta

from tests.crash.scene import Scene
from tests.support.process import Result

_QUIET = timedelta(hours=1, seconds=5)


class Disuse(Scene):
    retire = "unused 1h"

    def finish(self, result: Result) -> Result:
        if result.status != 0:
            return result
        self.clock.ahead += _QUIET
        return self.rotate()


class UnusedToken(Scene):
    """It begins when the old token has been unused for its time."""

    retire = "unused 1h"

    def prepare(self) -> None:
        assert self.rotate().status == 0
        self.clock.ahead += _QUIET
