"""The manifests of the GitOps recipe name what a rotation really changes, and each other."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import yaml

from tests.docs.page import blocks, sections
from tests.kubernetes.helpers import Rotate
from tests.kubernetes.site import KEY, Site

PAGE = sections("docs/recipes.md")
TITLES = ("GitOps", "Argo CD", "Flux", "External Secrets", "Reloader")
BY_ITSELF = ("/metadata/resourceVersion", "/metadata/managedFields")  # the cluster keeps these


def manifest(title: str) -> Any:  # noqa: ANN401 - YAML
    (found,) = [block for block in blocks(PAGE[title]) if block.language == "yaml"]
    return yaml.safe_load(found.text)


def differences(old: Any, new: Any, path: str = "") -> Iterator[str]:  # noqa: ANN401 - JSON
    """Yield a JSON pointer for each value that is not the same."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in {*old, *new}:
            step = str(key).replace("~", "~0").replace("/", "~1")
            yield from differences(old.get(key), new.get(key), f"{path}/{step}")
    elif old != new:
        yield path


def test_a_rotation_changes_only_what_argo_cd_is_told_to_leave(site: Site, rotate: Rotate) -> None:
    rule = manifest("Argo CD")["spec"]["ignoreDifferences"][0]
    before = site.whole()
    (report,) = rotate(f'[[token]]\nname="luna"\nstores=["{site.store_url}"]\n')
    assert report.error is None
    changed = set(differences(before, site.whole())) - set(BY_ITSELF)
    assert f"/data/{KEY}" in changed
    assert len(changed) > 1
    covered = tuple(rule["jsonPointers"])
    assert [each for each in changed if not each.startswith(covered)] == []


@pytest.mark.parametrize("title", TITLES)
def test_all_manifests_are_about_the_same_secret(title: str) -> None:
    found = manifest(title)
    assert "luna-token" in str(found)
    namespace = found["metadata"].get("namespace")
    assert namespace == ("argocd" if title == "Argo CD" else "bots")


def test_the_secret_in_git_has_no_token() -> None:
    for title in ("GitOps", "Flux"):
        assert not {"data", "stringData"} & set(manifest(title))


def test_the_pushed_key_is_the_one_that_is_rotated() -> None:
    (pushed,) = manifest("External Secrets")["spec"]["data"]
    assert pushed["match"]["secretKey"] == KEY
