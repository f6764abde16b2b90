"""The chart, rendered: values in, Kubernetes objects out."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from tests.helm.tools import Done, Tools

CHART = Path(__file__).parents[2] / "helm" / "rotator"
RELEASE, NAMESPACE = "rotator", "ops"
Object = dict[str, Any]
KINDS = ("cronjob", "deployment", "fleet")
STORES = ("dotenv", "vault", "aws", "kubernetes")
COMBINATIONS = [(f"kind-{kind}", f"store-{store}") for kind in KINDS for store in STORES]
CASES = [*COMBINATIONS, ("everything",)]
TOKENS = [{"name": "luna-bot", "stores": ["kubernetes://bots/luna-token"]}]


class Manifests(NamedTuple):
    """All that a release consists of."""

    objects: tuple[Object, ...]

    def of(self, kind: str) -> list[Object]:
        return [each for each in self.objects if each["kind"] == kind]

    def one(self, kind: str) -> Object:
        [found] = self.of(kind)
        return found

    def cron_job(self, *, forced: bool = False) -> Object:
        [found] = [
            o for o in self.of("CronJob") if o["metadata"]["name"].endswith("-force") is forced
        ]
        return found

    def pods(self) -> Iterator[tuple[str, Object]]:
        """Give each pod's specification, by the name of what makes it."""
        for each in self.objects:
            if template := pod_template(each):
                yield each["metadata"]["name"], template["spec"]

    @property
    def toml(self) -> str:
        [found] = [
            o["data"]["rotator.toml"]
            for o in self.of("ConfigMap")
            if "rotator.toml" in o.get("data", {})
        ]
        return str(found)


def pod_template(made: Object) -> Object | None:
    """Return the pod of an object that makes pods, or is one."""
    match made["kind"]:
        case "Pod":
            return made
        case "Deployment":
            return dict(made["spec"]["template"])
        case "CronJob":
            return dict(made["spec"]["jobTemplate"]["spec"]["template"])
    return None


class Chart:
    """Renders the chart, each set of values once."""

    def __init__(self, tools: Tools, folder: Path) -> None:
        self.tools = tools
        self._folder = folder
        self._rendered: dict[str, Done] = {}

    def render(self, *files: str, **values: object) -> Manifests:
        """Render with files of ci/, and then with values."""
        done = self.run("template", *files, **values)
        assert done.status == 0, done.err
        return Manifests(tuple(filter(None, yaml.safe_load_all(done.out))))

    def refusal(self, *files: str, **values: object) -> str:
        """Return what helm says to values that it refuses, on one line."""
        done = self.run("template", *files, **values)
        assert done.status != 0, done.out
        return " ".join(done.err.split())

    def notes(self, *files: str, **values: object) -> str:
        done = self.run("install", "--dry-run=client", *files, **values)
        assert done.status == 0, done.err
        return done.out.partition("NOTES:\n")[2]

    def run(self, command: str, *files: str, **values: object) -> Done:
        """Run helm, with files of ci/ (or options) and then with values."""
        key = json.dumps([command, files, values])
        if key not in self._rendered:
            own = self._folder / f"values-{len(self._rendered)}.yaml"
            own.write_text(json.dumps(values))
            options = [each for each in files if each.startswith("--")]
            given = [
                f"--values={CHART / 'ci' / each}-values.yaml"
                for each in files
                if each not in options
            ]
            self._rendered[key] = self.tools.helm(
                *(command, RELEASE, CHART, f"--namespace={NAMESPACE}"),
                *(*options, *given, f"--values={own}"),
            )
        return self._rendered[key]


def container(pod: Object) -> Object:
    """Return the one container of a pod."""
    [found] = pod["containers"]
    return dict(found)


def variables(pod: Object) -> dict[str, str]:
    return {each["name"]: each["value"] for each in container(pod)["env"]}
