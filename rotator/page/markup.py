"""HTML out of elements: every text is escaped unless it is markup already."""

from html import escape

from rotator.errors import one_line


class Html(str):
    """Text that is markup."""

    __slots__ = ()


def element(kind: str, *children: str, **attributes: str | float | None) -> Html:
    """Return an element; an attribute that is None is left out.

    `_` stands for `-`, and one at the end for nothing: `class_`.
    """
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_text(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Html(f"<{kind}{given}>{joined(*children)}</{kind}>")


def joined(*children: str) -> Html:
    """Return the children one after another, each text among them escaped."""
    return Html("".join(each if isinstance(each, Html) else _text(each) for each in children))


def _text(text: str) -> str:
    # Without what turns the direction of writing, either: names and errors are not trusted.
    return escape(one_line(text) if not text.isprintable() else text)
