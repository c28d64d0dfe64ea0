"""HTML that cannot be broken by what it shows: text is escaped unless it was made here."""

from collections.abc import Iterable
from html import escape

_VOID = {"br", "img", "meta"}
_DRAWN = {"line", "polyline", "rect"}  # of SVG: they close themselves


class Html(str):
    """Text that is HTML already."""


Child = str | None | Iterable  # of children


def element(tag: str, /, *children: Child, **attributes: str | int | float | None) -> Html:
    """The HTML of an element; children that are not `Html` are escaped, None is left out.

    Attributes: `class_` loses its underscore, others turn theirs into hyphens (`aria_label`); None and False
    are left out, True stands without a value.
    """
    parts = [f"<{tag}"]
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        label = key.rstrip("_").replace("_", "-")
        parts.append(f" {label}" if value is True else f' {label}="{escape(str(value), quote=True)}"')
    parts.append("/>" if tag in _DRAWN else ">")
    if tag in _VOID | _DRAWN:
        return Html("".join(parts))
    return Html("".join(parts) + join(children) + f"</{tag}>")


def join(children: Child) -> Html:
    """The children one after the other, escaped where they are not `Html`."""
    if children is None:
        return Html("")
    if isinstance(children, Html):
        return children
    if isinstance(children, str):
        return Html(escape(children, quote=False))
    return Html("".join(join(child) for child in children))
