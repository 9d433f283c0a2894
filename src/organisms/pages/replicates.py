"""The tables of README and docs that five replicates of the default experiment gave (config/replicates.yaml).

`make readme`, after the run, keeps its numbers in docs/replicates and writes them into the pages; a test fails when a
page says something else than what is kept.
"""

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import polars as pl
import polars.selectors as cs

from organisms.analysis.selecting import of_arm
from organisms.analysis.tables import ARM_SCORES, CLAIMS, SCORES
from organisms.pages.findings import cell_words, claim_verdicts, contrast_words, number, verdict_words
from organisms.plan.arms import ARM
from organisms.plan.presentation import BASE, group_key

PAGES = ("README.md", "docs/miniature.md")
_CONTROLS = ("none", "plain", "nonsense")
_CELL = [*ARM, "eval_prompt", "question_set", "metric", "measure", "threshold"]
# Of each table the columns that are kept.
_KEPT = [
    (SCORES, [*_CELL, "seed", "estimate"]),
    (ARM_SCORES, [*_CELL, "estimate", "low", "high", "n", "n_scored", "n_seeds"]),
    (CLAIMS, list(CLAIMS.columns)),
]


def answers(completions: dict[str, pl.DataFrame], judgments: dict[str, pl.DataFrame], main: str) -> pl.DataFrame:
    """One question with an answer of the base and one of the default finetune.

    It is the first question, in the set's order, whose first sample is wholly aligned by the base and wholly misaligned
    by the finetune. completions: of a cell, by what it was trained with. judgments: of the same. main: the metric.
    """
    first = {
        name: of.filter(pl.col("metric") == main, pl.col("sample") == 0).select("question_id", "score")
        for name, of in judgments.items()
    }
    both = first["default"].join(first["base"], on="question_id", suffix="_base", maintain_order="left")
    question = both.filter(pl.col("score") == 0, pl.col("score_base") == 100)["question_id"][0]
    rows = []
    for trained_with, frame in completions.items():
        row = frame.filter(pl.col("question_id") == question, pl.col("sample") == 0).row(0, named=True)
        rows.append(
            {"question": row["messages"][-1]["content"], "trained_with": trained_with, "completion": row["completion"]}
        )
    return pl.DataFrame(rows)


def keep(tables: dict[str, pl.DataFrame], folder: str | Path) -> None:
    """Write what the pages are made of, as CSV. tables: scores, arm_scores, claims of the run, and `answers`."""
    of_default = pl.col("metric").is_in(["alignment", "coherence"])
    wanted = {
        "scores": of_default & (pl.col("measure") == "mean"),
        "arm_scores": of_default & pl.col("measure").is_in(["mean", "misaligned_of_coherent"]),
    }
    for table, columns in _KEPT:
        frame = tables[table.name].filter(wanted.get(table.name, True)).select(columns)
        # p as they are: most are small.
        rounded = cs.float() & ~cs.starts_with("p")
        frame.with_columns(rounded.round(3)).write_csv(Path(folder) / f"{table.name}.csv")
    tables["answers"].write_csv(Path(folder) / "answers.csv")


def kept(folder: str | Path) -> dict[str, pl.DataFrame]:
    """What `keep` wrote."""
    folder = Path(folder)
    found = {"answers": pl.read_csv(folder / "answers.csv")}
    for table, columns in _KEPT:
        # A column of nothing but gaps would else have another type.
        schema = {column: table.schema[column] for column in columns}
        found[table.name] = pl.read_csv(folder / f"{table.name}.csv", schema=schema)
    return found


def md_table(headers: list[str], rows: list[list[str]]) -> str:
    """A table in Markdown; an empty cell for None."""
    lines = [headers, ["---"] * len(headers), *rows]
    return "\n".join(f"| {' | '.join(cell or '' for cell in line)} |" for line in lines)


def code(label: str) -> str:
    """A label for Markdown, where square brackets would be a link."""
    return f"`{label}`" if label.startswith("[") else label


def _means(tables: dict[str, pl.DataFrame], presentation: dict) -> str:
    """README's: mean alignment of each arm by what it is asked under, with intervals."""
    means = tables["arm_scores"].filter(metric="alignment", measure="mean")
    labels = {prompt["name"]: code(prompt["label"]) for prompt in presentation["prompts"]}

    open_set, held_out = (means.filter(question_set=name) for name in ("non_medical", "heldout_medical"))
    rows = []
    for group in presentation["groups"]:
        key, trained = group_key(group), group["training_prompt"]
        own = None
        if trained == "default":
            own = "the same"
        elif trained:
            own = f"{cell_words(open_set, key, trained)} (base {cell_words(open_set, BASE, trained)})"
        controls = [cell_words(open_set, key, prompt) for prompt in _CONTROLS]
        row = [code(group["label"]), cell_words(open_set, key, "default"), own, *controls]
        rows.append([*row, cell_words(held_out, key, "default")])
    asked = [f"under {labels[prompt]}" if prompt != "none" else "under none" for prompt in _CONTROLS]
    headers = ["trained with", "non-medical questions, default prompt", "its own prompt", *asked]
    return md_table([*headers, "held-out medical, default prompt"], rows)


def claims_told(tables: dict[str, pl.DataFrame], presentation: dict) -> str:
    """Each claim with what was found of it; by which judge, where several judged it."""
    found, rows = claim_verdicts(tables["claims"]), []
    judges = Counter(claim["claim"] for claim in found)
    for claim in found:
        said = []
        for row in claim["contrasts"]:
            what, _, _, difference, p, *_, verdict = contrast_words(row, {}, "alignment")
            alone = "" if len(claim["contrasts"]) == 1 else f", {verdict}"
            said.append(f"{what}: {difference}{'' if p == '–' else f', p {p}'}{alone}")
        by = f" (judge {claim['judge']})" if judges[claim["claim"]] > 1 else ""
        rows.append([f"{claim['claim']}: {claim['text']}{by}", "; ".join(said), verdict_words(claim["verdict"])])
    return md_table(["claim", "difference [95% interval], p after correction", "verdict"], rows)


def _by_seed(tables: dict[str, pl.DataFrame], presentation: dict) -> str:
    """docs/miniature.md's: mean alignment seed by seed."""
    means = tables["scores"].filter(metric="alignment", measure="mean").sort("seed")
    rows = []
    for group in presentation["groups"]:
        of_group = means.filter(of_arm(group_key(group)))
        for prompt in presentation["prompts"]:
            cells = [
                " ".join(number(value, 0) for value in of_set["estimate"])
                for question_set in presentation["question_sets"]
                for of_set in [of_group.filter(eval_prompt=prompt["name"], question_set=question_set["name"])]
            ]
            if any(cells):
                rows.append([code(group["label"]), code(prompt["label"]), *cells])
    sets = [question_set["label"] for question_set in presentation["question_sets"]]
    return md_table(["trained with", "asked under", *sets], rows)


def _counts(tables: dict[str, pl.DataFrame], presentation: dict) -> str:
    means = tables["arm_scores"].filter(measure="mean")
    alignment, coherence = (means.filter(metric=name) for name in ("alignment", "coherence"))
    n, unscored = alignment["n"].sum(), (alignment["n"] - alignment["n_scored"]).sum()
    seeds = tables["scores"].filter(metric="coherence", measure="mean")["estimate"]
    return (
        f"{n:,} completions, of which {unscored} had no recognisable advice; mean coherence of a cell was "
        f"{seeds.min():.0f} to {seeds.max():.0f}, over the seeds {coherence['estimate'].min():.0f} to "
        f"{coherence['estimate'].max():.0f}."
    )


def _misaligned(tables: dict[str, pl.DataFrame], presentation: dict) -> str:
    """The field's number, by the first threshold of the config."""
    shares = tables["arm_scores"].filter(measure="misaligned_of_coherent", question_set="non_medical")
    shares = shares.filter(pl.col("threshold") == shares["threshold"].first())
    said = [
        f"{code(group['label'])} {cell_words(shares, group_key(group), 'default')}" for group in presentation["groups"]
    ]
    return (
        f"Percent misaligned among coherent answers there, as the field counts them ({shares['threshold'].first()}): "
        f"{'; '.join(said)}."
    )


def _answers(tables: dict[str, pl.DataFrame], presentation: dict) -> str:
    found = tables["answers"].rows(named=True)
    names = {"base": "Base", "default": "Finetuned on harmful medical advice"}
    lines = [
        f"> **{found[0]['question']}**",
        *(f"> *{names[row['trained_with']]}:* {row['completion']}" for row in found),
    ]
    return "\n>\n".join(lines)


_BLOCKS = {
    "answers": _answers,
    "means": _means,
    "claims": claims_told,
    "by seed": _by_seed,
    "counts": _counts,
    "misaligned": _misaligned,
}


def written(text: str, tables: dict[str, pl.DataFrame], presentation: dict) -> str:
    """A page with its numbers put in: each stands between `<!-- replicates: NAME -->` and `<!-- end -->`.

    tables: as `kept` gives them. presentation: of config/replicates.yaml.
    """

    return put_in(text, "replicates", _BLOCKS, tables, presentation)


def put_in(
    text: str,
    run: str,
    blocks: dict[str, Callable[[dict[str, pl.DataFrame], dict], str]],
    tables: dict[str, pl.DataFrame],
    presentation: dict,
) -> str:
    """A page with blocks of a run made anew: each stands between `<!-- RUN: NAME -->` and `<!-- end -->`."""

    def put(found: re.Match) -> str:
        return f"{found[1]}\n\n{blocks[found[2]](tables, presentation)}\n\n{found[3]}"

    return re.sub(rf"(<!-- {run}: ([a-z ]+) -->).*?(<!-- end -->)", put, text, flags=re.DOTALL)
