"""Two rotators die, and the mint of the first one is done only after all that."""

from pathlib import Path

from tests.crash import checks
from tests.crash.cases import Death, mint_of
from tests.crash.envfiles import SOL
from tests.crash.matrix import Matrix
from tests.support.crew import Crew
from tests.support.transcript import Transcript


def test_a_late_mint_is_not_forgotten_for_the_token_of_another(
    tmp_path: Path, transcript: Transcript, crew: Crew
) -> None:
    matrix = Matrix(tmp_path, [SOL], transcript, crew)
    with matrix.stage() as scene:
        first = mint_of(scene.record()[1], Death.LATE)
    with matrix.stage() as scene:
        scene.kill(first._replace(death=Death.UNDONE))
        second = mint_of(scene.record()[1], Death.UNANSWERED)
    with matrix.stage() as scene:
        late = scene.kill(first)
        scene.kill(second)
        assert list(checks.recovered(scene, scene.rotate(), settled=False)) == []
        late.finish()
        assert list(checks.recovered(scene, scene.rotate(), settled=False)) == []
