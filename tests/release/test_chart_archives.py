"""The chart as an archive and in a registry: what Helm takes, the same to the byte each time."""

import hashlib
import io
import json
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from release.archives import pack_chart
from release.source import Source
from tests.helm.chart import CHART
from tests.helm.tools import Tools

Files = dict[str, bytes]


def contents(archive: bytes) -> Files:
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        found = {}
        for each in opened.getmembers():
            file = opened.extractfile(each)
            assert file
            found[each.name] = file.read()
        return found


@pytest.fixture(scope="module")
def archives(source: Source, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    plain, layout = pack_chart(source, tmp_path_factory.mktemp("chart"))
    return plain, layout


def test_it_is_the_same_to_the_byte_each_time(
    source: Source, archives: tuple[Path, Path], tmp_path: Path
) -> None:
    for path in source.tree.rglob("*"):
        if path.is_file():
            path.touch()
    again = pack_chart(source, tmp_path)
    assert [path.name for path in again] == [path.name for path in archives]
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in archives]


def test_it_has_what_helm_packs(
    source: Source, archives: tuple[Path, Path], tools: Tools, tmp_path: Path
) -> None:
    done = tools.helm("package", source.tree / "helm/rotator", f"--destination={tmp_path}")
    assert done.status == 0, done.err
    by_helm = contents((tmp_path / archives[0].name).read_bytes())
    ours = contents(archives[0].read_bytes())
    by_helm.pop("rotator/Chart.yaml")  # which Helm writes anew
    chart = ours.pop("rotator/Chart.yaml")
    assert ours == by_helm
    assert chart == (CHART / "Chart.yaml").read_bytes()


def test_helm_takes_it(archives: tuple[Path, Path], tools: Tools) -> None:
    plain = archives[0]
    values = f"--values={CHART / 'ci' / 'kind-cronjob-values.yaml'}"
    assert tools.helm("lint", "--strict", plain, values).status == 0
    assert "kind: CronJob" in tools.helm("template", "rotator", plain, values).out
    assert tools.helm("show", "readme", plain).out.startswith("# rotator")


@pytest.fixture
def registry(archives: tuple[Path, Path]) -> Iterator[str]:
    """What a registry would answer once the layout was copied to it."""
    files = contents(archives[1].read_bytes())
    [named] = json.loads(files["index.json"])["manifests"]
    digest, version = named["digest"], named["annotations"]["org.opencontainers.image.ref.name"]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            _, _, kind, wanted = self.path.rsplit("/", 3)
            wanted = digest if wanted == version else wanted
            body = files.get(f"blobs/{wanted.replace(':', '/')}", b"")
            if self.path == "/v2/":
                body = b"{}"
            self.send_response(200 if body else 404)
            if kind == "manifests":
                self.send_header("Content-Type", named["mediaType"])
            self.send_header("Docker-Content-Digest", wanted)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        do_HEAD = do_GET  # noqa: N815 - http.server's name

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_helm_pulls_the_layout_from_a_registry(
    registry: str, archives: tuple[Path, Path], tools: Tools, tmp_path: Path, source: Source
) -> None:
    done = tools.helm(
        *("pull", f"oci://{registry}/charts/rotator", f"--version={source.version}"),
        *("--plain-http", f"--destination={tmp_path}"),
    )
    assert done.status == 0, done.err
    pulled = (tmp_path / archives[0].name).read_bytes()
    assert hashlib.sha256(pulled).digest() == hashlib.sha256(archives[0].read_bytes()).digest()
