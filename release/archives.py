"""Archives that are the same to the byte each time: sorted, with one time, and nobody's name."""

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from release.source import Source

_LAYOUT = {"imageLayoutVersion": "1.0.0"}
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
# https://helm.sh/docs/topics/registries/#oci-feature-compatibility-with-helm
_CHART_CONFIG = "application/vnd.cncf.helm.config.v1+json"
_CHART_CONTENT = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"


def tar(files: Mapping[str, bytes], epoch: int) -> bytes:
    """Return a tar archive of files by their names."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name, content in sorted(files.items()):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mtime, entry.mode = len(content), epoch, 0o644
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def pack_chart(source: Source, folder: Path) -> list[Path]:
    """Write the chart as Helm packs it, and the same as an OCI layout for a registry."""
    chart = source.tree / "helm" / "rotator"
    metadata = yaml.safe_load((chart / "Chart.yaml").read_text())
    name = f"{metadata['name']}-{metadata['version']}"
    packed = gzip.compress(tar(_chart_files(chart, metadata["name"]), source.epoch), mtime=0)
    plain = folder / f"{name}.tgz"
    plain.write_bytes(packed)
    layout = folder / f"{name}.chart.oci.tar"
    layout.write_bytes(tar(_chart_layout(packed, metadata, source), source.epoch))
    return [plain, layout]


def pack_layout(layout: Path, epoch: int) -> bytes:
    """Return an OCI layout, which is a folder, as one archive."""
    files = (path for path in layout.rglob("*") if path.is_file())
    return tar({str(path.relative_to(layout)): path.read_bytes() for path in files}, epoch)


def _chart_files(chart: Path, name: str) -> dict[str, bytes]:
    ignored = [line.rstrip("/") for line in (chart / ".helmignore").read_text().splitlines()]
    paths = (path.relative_to(chart) for path in chart.rglob("*") if path.is_file())
    kept = (path for path in paths if path.parts[0] not in ignored)
    return {f"{name}/{path}": (chart / path).read_bytes() for path in kept}


def _chart_layout(packed: bytes, metadata: Mapping[str, Any], source: Source) -> dict[str, bytes]:
    """Return the files of https://github.com/opencontainers/image-spec/blob/main/image-layout.md."""
    blobs: dict[str, bytes] = {}

    def add(media_type: str, content: bytes) -> dict[str, Any]:
        digest = hashlib.sha256(content).hexdigest()
        blobs[f"blobs/sha256/{digest}"] = content
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(content)}

    manifest = {
        "schemaVersion": 2,
        "mediaType": _MANIFEST,
        "config": add(_CHART_CONFIG, _as_json(metadata)),
        "layers": [add(_CHART_CONTENT, packed)],
        "annotations": {
            "org.opencontainers.image.title": metadata["name"],
            "org.opencontainers.image.version": metadata["version"],
            "org.opencontainers.image.description": metadata["description"],
            "org.opencontainers.image.revision": source.revision,
        },
    }
    named = add(_MANIFEST, _as_json(manifest))
    named["annotations"] = {"org.opencontainers.image.ref.name": metadata["version"]}
    index = {"schemaVersion": 2, "manifests": [named]}
    return {"oci-layout": _as_json(_LAYOUT), "index.json": _as_json(index), **blobs}


def _as_json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
