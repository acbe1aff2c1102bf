"""What tests ask of a page."""

import re
from html.parser import HTMLParser

EMPTY = {"meta", "img", "br", "link", "input", "hr"}


class Tags(HTMLParser):
    """Collects the elements of a page, and fails where they are not nested."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)
        assert not self.open, f"not closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def check_self_contained(page: str) -> None:
    """Well-formed, nothing from elsewhere, and every picture says what it shows."""
    for tag, values in Tags(page).found:
        for name in ("src", "href", "data", "poster", "srcset"):
            assert (values.get(name) or "data:").startswith("data:"), (tag, values)
        assert tag != "img" or "alt" in values
    assert "url(" not in page
    assert "@import" not in page


def captions(page: str) -> list[str]:
    """The captions of a page's figures, in order."""
    return re.findall(r"<figcaption>(.*?)</figcaption>", page)
