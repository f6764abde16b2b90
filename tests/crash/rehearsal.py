"""A rehearsal that is killed, and what then removes the rest."""

from collections.abc import Iterator

from backends.dotenv.store import ScratchVariable
from backends.dotenv.text import EnvText
from rotator.stores.journal import Intent
from tests.crash.envfiles import EnvFile
from tests.crash.scene import Scene
from tests.support.process import Result


class ThenRotate(Scene):
    arguments = ("rehearse", "--hooks")
    recovery: tuple[str, ...] = ("rotate",)

    def prepare(self) -> None:
        self._before = {file.name: (self.bots / file.name).read_bytes() for file in self.files}

    def rotate(self) -> Result:
        return self._end(self._start(self.recovery))

    @property
    def intents(self) -> list[Intent]:
        """Return the intents that stand in the scratch places."""
        found = (self._scratch(file).read().journal.intents for file in self.files)
        return [*super().intents, *(intent for intents in found for intent in intents)]

    def is_as_it_was(self, file: EnvFile) -> bool:
        """Tell so also of a file in which a canary's mint has to be waited for."""
        if not self._scratch(file).read().journal.intents:
            return super().is_as_it_was(file)
        path = self.bots / file.name
        whole = path.read_bytes()
        path.write_bytes(EnvText(whole, _scratch_of(file)).without_variable().content)
        try:
            return super().is_as_it_was(file)
        finally:
            path.write_bytes(whole)

    def problems_while_dead(self) -> Iterator[str]:
        for file in self.files:
            content = (self.bots / file.name).read_bytes()
            rest = EnvText(content, _scratch_of(file)).without_variable()
            if rest.content != self._before[file.name]:
                yield f"the rehearsal changed {file.name} outside of its scratch place"

    def _scratch(self, file: EnvFile) -> ScratchVariable:
        return ScratchVariable(self.bots / file.name, _scratch_of(file))


class ThenRehearse(ThenRotate):
    recovery = ThenRotate.arguments


class ThenDoctor(ThenRotate):
    recovery = ("doctor",)

    def prepare(self) -> None:
        super().prepare()
        self._hooked.write_text(f"{self.api.tokens[0].id}\n")  # it runs none


def _scratch_of(file: EnvFile) -> str:
    return f"{file.variable}_REHEARSAL"
