"""The docs as a site: built as strictly as MkDocs can, and each of its links leads somewhere."""

import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tests.docs.page import ROOT
from tests.support.waiting import PATIENCE

LINKS = {"a": "href", "img": "src", "source": "srcset", "link": "href", "script": "src"}


class Reader(HTMLParser):
    """Takes the links and the anchors of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.anchors: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.anchors |= {each for each in (found.get("id"), found.get("name")) if each}
        if link := found.get(LINKS.get(tag, "")):
            self.links.add(link)


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, Reader]:
    """The pages of the site, by their files."""
    folder = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        # Not --quiet: with it, strict counts no warning.
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", folder],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    found = {}
    for file in folder.glob("[!4]*.html"):  # 404.html is for the root of a server
        found[file] = reader = Reader()
        reader.feed(file.read_text())
    return found


def test_each_link_leads_somewhere(pages: dict[Path, Reader]) -> None:
    assert len(pages) > 20
    broken = []
    for file, reader in pages.items():
        for link in reader.links:
            url = urlsplit(link)
            target = file.parent / unquote(url.path) if url.path else file
            is_there = url.scheme or url.netloc or target.exists()
            anchors = pages[target].anchors if target in pages else None
            if not is_there or (url.fragment and anchors and unquote(url.fragment) not in anchors):
                broken.append(f"{file.name}: {link}")
    assert broken == []


def test_a_page_loads_nothing_from_elsewhere(pages: dict[Path, Reader]) -> None:
    for file in pages:
        text = file.read_text()
        for tag in ("<script src=", "<img src=", '<link rel="stylesheet" href='):
            assert f'{tag}"http' not in text, file.name


def test_each_page_is_there_in_both_languages_or_in_english(pages: dict[Path, Reader]) -> None:
    names = {file.name for file in pages}
    for name in names:
        if name.endswith(".ru.html"):
            assert name.replace(".ru.html", ".html") in names
