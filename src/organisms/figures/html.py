"""HTML pages that open without internet and in which no text ever becomes markup or code.

Data goes into a page as JSON in which no character can end the script element around it. A content security policy
lets the page's own scripts run (by their digests) and nothing else, and lets nothing be loaded from elsewhere; so even
a text that some library took for markup could not act.
"""

import base64
import hashlib
import html
import json


def embedded_json(value) -> str:
    """JSON that is safe inside a script element, whatever texts are in it."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _digest(script: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() + "'"


def page(
    title: str,
    body: str,
    *,
    styles: list[str] | None = None,
    scripts: list[str] | None = None,
    data: dict | None = None,
    may_compile: bool = False,
) -> str:
    """A whole page. body: markup, in which every text of others was escaped by `html.escape`.

    styles, scripts: their sources; a script is run as a module after the body. data: values by the id of the element
    that holds them, for scripts to read. may_compile: whether scripts may compile expressions (Vega does).
    """
    sources = [script.replace("</script", "<\\/script") for script in scripts or []]
    allowed = " ".join([*map(_digest, sources), *(["'unsafe-eval'"] if may_compile else [])]) or "'none'"
    policy = f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:; font-src data:"
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{html.escape(title)}</title>",
            *(f"<style>{style}</style>" for style in styles or []),
            "</head><body>",
            body,
            *(
                f'<script type="application/json" id="{name}">{embedded_json(value)}</script>'
                for name, value in (data or {}).items()
            ),
            *(f'<script type="module">{source}</script>' for source in sources),
            "</body></html>",
            "",
        ]
    )
