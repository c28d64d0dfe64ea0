"""Reads a report.html as a browser would, for tests: its tables, its references, its text."""

from dataclasses import dataclass, field
from html.parser import HTMLParser

_VOID = {"br", "img", "meta", "rect", "line", "polyline"}


@dataclass
class Page:
    """Tables by their label: a list of heads, and rows of (text, data-value or None)."""

    tables: dict[str, tuple[list[str], list[list[tuple[str, str | None]]]]] = field(default_factory=dict)
    figures: dict[str, tuple[str, str]] = field(default_factory=dict)  # cards: shown, full
    references: list[str] = field(default_factory=list)
    tags: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    text: str = ""


class _Reader(HTMLParser):
    def __init__(self):
        super().__init__()
        self.page = Page()
        self.open: list[str] = []
        self.table = self.cell = self.card = None

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.page.tags.append((tag, values))
        self.page.references += [values[key] for key in ("src", "href", "srcset", "action") if key in values]
        if tag not in _VOID:
            self.open.append(tag)
        if tag == "table":
            self.table = self.page.tables.setdefault(values["aria-label"], ([], []))
        if tag == "tr" and "tbody" in self.open:
            self.table[1].append([])
        if tag in ("th", "td"):
            self.cell = ["", values.get("data-value")]
        if "data-figure" in values:
            self.card = [values["data-figure"], "", values["data-value"]]

    def handle_startendtag(self, tag, attrs):
        self.page.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f"{tag} is closed out of order"
        if tag in ("th", "td"):
            if "thead" in self.open:
                self.table[0].append(self.cell[0])
            else:
                self.table[1][-1].append(tuple(self.cell))
            self.cell = None
        if tag == "div" and self.card is not None:
            self.page.figures[self.card[0]] = (self.card[1], self.card[2])
            self.card = None

    def handle_data(self, data):
        if "script" in self.open or "style" in self.open:
            return
        self.page.text += data
        if self.cell is not None:
            self.cell[0] += data
        if self.card is not None:
            self.card[1] += data


def read_page(text: str) -> Page:
    reader = _Reader()
    reader.feed(text)
    reader.close()
    assert not reader.open, f"never closed: {reader.open}"
    return reader.page
