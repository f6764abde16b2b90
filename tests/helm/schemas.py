"""Kubernetes' own schemas, for several of its versions; each is read once."""

from functools import cache
from typing import Any

from jsonschema import Draft202012Validator
from kubernetes_validate.utils import all_versions, schema_contents
from referencing import Registry, Resource

# The newest patch release of each of the last four minor versions.
VERSIONS = list({each.rpartition(".")[0]: each for each in all_versions()}.values())[-4:]


def faults(made: dict[str, Any], version: str) -> list[str]:
    """Return what this version of Kubernetes has against an object; unknown keys count."""
    group = made["apiVersion"].partition("/")
    short = "-".join(filter(None, (group[0].partition(".")[0], group[2])))
    found = _validator(f"{made['kind'].lower()}-{short}", version).iter_errors(made)
    return [f"{error.json_path}: {error.message}" for error in found]


@cache
def _validator(schema: str, version: str) -> Draft202012Validator:
    contents = _contents(schema, version)
    return Draft202012Validator(contents, registry=_registry(version))


@cache
def _registry(version: str) -> Registry[Any]:
    return Resource.from_contents(_contents("_definitions", version)) @ Registry()


def _contents(name: str, version: str) -> Any:  # noqa: ANN401 - JSON
    return schema_contents(f"kubernetes-json-schema/v{version}-local-strict/{name}.json", version)
