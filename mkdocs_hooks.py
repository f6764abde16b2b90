"""For MkDocs: links that leave docs/ are followed, and anchors are those of a code host."""

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent
# Pages that lie elsewhere in the repository, by their names on the site.
PAGES = {
    "index.md": "README.md",
    "index.ru.md": "README.ru.md",
    "contributing.md": "CONTRIBUTING.md",
    "changelog.md": "CHANGELOG.md",
    "examples.md": "examples/README.md",
}
_URIS = {source: uri for uri, source in PAGES.items()}
_LINK = re.compile(r'(\]\(|(?:src|srcset|href)=")([^)"#\s:]+)(?=[)"#])')
_COPIES = "files"


def slugify(title: str, separator: str) -> str:
    """Return the anchor of a title as GitHub and others make it, also in Russian."""
    return re.sub(r"[^\w -]", "", title.strip()).lower().replace(" ", separator)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Let titles have the anchors to which the pages link."""
    config.mdx_configs.setdefault("toc", {})["slugify"] = slugify
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages from elsewhere, and copies of the files to which pages link."""
    for uri, source in PAGES.items():
        files.append(File.generated(config, uri, content=(ROOT / source).read_text("utf-8")))
    pages = [each.src_uri for each in files if each.is_documentation_page()]
    sources = [PAGES.get(uri, f"docs/{uri}") for uri in pages]
    wanted = {
        path
        for source in sources
        for _, link in _LINK.findall((ROOT / source).read_text("utf-8"))
        if (path := _resolve(source, link)) and not path.startswith("docs/") and path not in _URIS
    }
    for path in sorted(wanted):
        files.append(File.generated(config, _copy_of(path), content=_read(ROOT / path)))
    return files


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Lead each link to where its target is on the site."""
    uri = page.file.src_uri
    source = PAGES.get(uri, f"docs/{uri}")

    def lead(match: re.Match[str]) -> str:
        path = _resolve(source, match[2])
        if path is None:
            return match[0]
        if path in _URIS:
            target = _URIS[path]
        elif path.startswith("docs/"):
            target = path.removeprefix("docs/")
        else:
            target = _copy_of(path)
        return match[1] + target  # all pages of the site lie in one folder

    return _LINK.sub(lead, markdown)


def _copy_of(path: str) -> str:
    """Return where a file is on the site: text, which a browser shows instead of saving it."""
    return f"{_COPIES}/{path}.txt".replace("/.", "/_")  # MkDocs leaves out what begins with a dot


def _read(path: Path) -> bytes:
    """Return the content of a file, or the names of the files in a folder."""
    if path.is_file():
        return path.read_bytes()
    names = sorted(str(each.relative_to(path)) for each in path.rglob("*") if each.is_file())
    return "".join(f"{name}\n" for name in names).encode()


def _resolve(source: str, link: str) -> str | None:
    """Return the path in the repository to which a link of a page leads, if it is there."""
    path = (ROOT / source).parent.joinpath(link).resolve()
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) and path.exists() else None
