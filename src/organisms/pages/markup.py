"""The markup that pages are put together from; every text in it is escaped."""

import base64
import html
from pathlib import Path


def text(value) -> str:
    """A text as markup that shows it."""
    return html.escape(str(value))


def table(headers: list[str], rows: list[list], numbers: int = 0) -> str:
    """An HTML table; every cell is text. numbers: so many columns at the end are aligned to the right."""
    first = len(headers) - numbers

    def cells(tag: str, row: list) -> str:
        extra = ' scope="col"' if tag == "th" else ""
        return "".join(
            f"<{tag}{extra}" + (' class="number"' if i >= first else "") + f">{text(cell)}</{tag}>"
            for i, cell in enumerate(row)
        )

    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    scrolled = 'class="wide" role="region" tabindex="0" aria-label="Table"'
    return f"<div {scrolled}><table><thead><tr>{cells('th', headers)}</tr></thead><tbody>{body}</tbody></table></div>"


def picture(path: str | Path, described: str) -> str:
    """An SVG inside the page, as an image: no script in it runs. described: its text for those who do not see it."""
    data = base64.b64encode(Path(path).read_bytes()).decode()
    return f'<p><img src="data:image/svg+xml;base64,{data}" alt="{text(described)}" width="720"></p>'
