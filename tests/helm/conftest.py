import pytest

from tests.helm.chart import Chart
from tests.helm.tools import Tools, unpack


@pytest.fixture(scope="session")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Tools:
    return unpack(tmp_path_factory.mktemp("tools"))


@pytest.fixture(scope="session")
def chart(tools: Tools, tmp_path_factory: pytest.TempPathFactory) -> Chart:
    return Chart(tools, tmp_path_factory.mktemp("values"))
