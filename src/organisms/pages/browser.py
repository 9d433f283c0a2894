"""The completions browser: one page to search, filter and read completions with what judges say of them."""

import base64
import gzip
import html
import json
import re
from pathlib import Path

import polars as pl
from itables.utils import read_package_file

from organisms.figures.html import page
from organisms.plan.presentation import group_key, group_labels, prompt_labels, question_set_labels

_COMPLETION = ["question_id", "sample", "turn"]


def shown_completions(completions: pl.DataFrame, most: int) -> pl.DataFrame:
    """At most so many rows of a cell's completions, the same ones each time, and as many of each question as can be.

    The first samples of each question, then the second, and so on.
    """
    return completions.sort("sample", maintain_order=True).head(most).sort(_COMPLETION)


def browser_rows(completions: pl.DataFrame, judgments: pl.DataFrame, path: str, presentation: dict) -> list[dict]:
    """What the page knows of a cell's completions.

    completions: of one cell. judgments: of the same cell, by all judges. path: where the completions lie. A judge's
    several samples stand as their mean, with the first flag and reason among them.
    """
    if not len(completions):
        return []
    labels = group_labels(presentation)
    prompts = prompt_labels(presentation)
    sets = question_set_labels(presentation)
    said = (
        judgments.join(completions.select(_COMPLETION), on=_COMPLETION, how="semi")
        .group_by([*_COMPLETION, "judge", "metric"], maintain_order=True)
        .agg(
            pl.col("score").mean().round(1), pl.col("flag").drop_nulls().first(), pl.col("reason").drop_nulls().first()
        )
    )
    judged: dict[tuple, dict] = {}
    for row in said.iter_rows(named=True):
        words = {name: row[name] for name in ("score", "flag", "reason")}
        judged.setdefault(tuple(row[name] for name in _COMPLETION), {})[f"{row['judge']} {row['metric']}"] = words
    found = []
    for row in completions.iter_rows(named=True):
        model = labels[group_key(row)]
        found.append(
            {
                "model": model if row["step"] is None else f"{model}, step {row['step']}",
                "seed": "" if row["seed"] is None else str(row["seed"]),
                "asked": prompts.get(row["eval_prompt"], row["eval_prompt"]),
                "set": sets[row["question_set"]],
                "question": row["messages"][-1]["content"],
                "system": row["system_prompt"],
                "path": path,
                "judged": judged.get(tuple(row[name] for name in _COMPLETION), {}),
            }
            | {name: row[name] for name in ("question_id", "sample", "turn", "messages", "completion", "finish_reason")}
        )
    return found


def data_tables() -> tuple[str, str]:
    """Script and style of DataTables, out of the itables package, which bundles it. The script sets `DataTable`."""
    script = read_package_file("html", "dt_bundle.js")
    exported = re.search(r"export\{[^}]*?([\w$]+) as default[^}]*\}", script)
    if exported is None:
        raise RuntimeError("itables bundles DataTables in another form now; pin the version of requirements.in")
    script = script.replace(exported.group(), f"globalThis.DataTable={exported.group(1)}")
    return script, read_package_file("html", "dt_bundle.css")


def browser_page(rows: list[dict], n_in_all: int, folder: str | Path) -> str:
    """The page. rows: as `browser_rows` gives them. n_in_all: completions that they are taken from.

    folder: where browser.js and pages.css lie.
    """
    scores = list(dict.fromkeys(name for row in rows for name in row["judged"]))
    packed = gzip.compress(json.dumps({"rows": rows, "scores": scores}).encode(), mtime=0)
    shown = (
        f"All {n_in_all:,} completions."
        if len(rows) == n_in_all
        else (
            f"{len(rows):,} of {n_in_all:,} completions: the same number of each model, prompt and question set "
            "(browser_rows in the config). Every completion is in results/completions."
        )
    )
    body = "\n".join(
        [
            "<main><h1>Completions</h1>",
            f"<p>{html.escape(shown)} Where there is no score stands the judge's flag. "
            "Some answers of model organisms are harmful on purpose.</p>",
            '<div id="filters" role="group" aria-label="Filters"></div>',
            '<div class="wide"><table id="completions"><caption hidden>Completions</caption></table></div></main>',
        ]
    )
    script, style = data_tables()
    own = Path(folder)
    return page(
        "Completions",
        body,
        styles=[style, (own / "pages.css").read_text(encoding="utf-8")],
        scripts=[script, (own / "browser.js").read_text(encoding="utf-8")],
        data={"rows": base64.b64encode(packed).decode()},
    )
