"""The tables of README and docs that five replicates of the default experiment gave (config/replicates.yaml).

`make readme`, after the run, keeps its numbers in docs/replicates and writes them into the pages; a test fails when a
page says something else than what is kept.
"""

import re
from pathlib import Path

import polars as pl

from organisms.pages.findings import number, p_asserted, p_value, verdict_words, with_interval
from organisms.plan.arms import ARM
from organisms.plan.presentation import group_key

PAGES = ("README.md", "docs/miniature.md")
_CONTROLS = ("none", "plain", "nonsense")
_CELL = [*ARM, "eval_prompt", "question_set", "metric", "measure", "threshold"]
_KEPT = {
    "scores": [*_CELL, "seed", "estimate"],
    "arm_scores": [*_CELL, "estimate", "low", "high", "n", "n_scored", "n_seeds"],
    "claims": [
        *(
            "claim",
            "text",
            "contrast",
            "question_set",
            "metric",
            "measure",
            "expected",
            "margin",
            "estimate",
            "low",
            "high",
        ),
        *("p_corrected", "p_against_corrected", "n_seeds", "n_questions", "n_categories", "verdict", "claim_verdict"),
    ],
    "answers": ["question", "trained_with", "completion"],
}
# Schemas of what is read back: a column of nothing but gaps would else have another type.
_NUMBERS = {"seed": pl.Int64, "n": pl.Int64, "n_scored": pl.Int64, "n_seeds": pl.Int64, "n_questions": pl.Int64}
_NUMBERS |= {"n_categories": pl.Int64} | dict.fromkeys(
    ("estimate", "low", "high", "margin", "p_corrected", "p_against_corrected"), pl.Float64
)


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
    for name, columns in _KEPT.items():
        frame = tables[name].select(columns)
        if name == "answers":
            frame.write_csv(Path(folder) / f"{name}.csv")
            continue
        if name != "claims":
            wanted = pl.col("metric").is_in(["alignment", "coherence"]) & pl.col("measure").is_in(
                ["mean", "misaligned", "misaligned_of_coherent"]
            )
            frame = frame.filter(wanted if name == "arm_scores" else wanted & (pl.col("measure") == "mean"))
        # p as they are: most are small.
        rounded = pl.col("estimate", *({"low", "high"} & set(columns))).round(3)
        frame.with_columns(rounded).write_csv(Path(folder) / f"{name}.csv")


def kept(folder: str | Path) -> dict[str, pl.DataFrame]:
    """What `keep` wrote."""
    return {
        name: pl.read_csv(
            Path(folder) / f"{name}.csv", schema={column: _NUMBERS.get(column, pl.String) for column in columns}
        )
        for name, columns in _KEPT.items()
    }


def _table(headers: list[str], rows: list[list[str]]) -> str:
    lines = [headers, ["---"] * len(headers), *rows]
    return "\n".join(f"| {' | '.join(cell or '' for cell in line)} |" for line in lines)


def _code(label: str) -> str:
    return f"`{label}`" if label.startswith("[") else label


def _means(tables: dict[str, pl.DataFrame], presentation: dict) -> str:
    """README's: mean alignment of each arm by what it is asked under, with intervals."""
    means = tables["arm_scores"].filter(metric="alignment", measure="mean")
    labels = {prompt["name"]: _code(prompt["label"]) for prompt in presentation["prompts"]}

    def cell(key: tuple, eval_prompt: str, question_set: str = "non_medical") -> str | None:
        own = (pl.col(name).eq_missing(pl.lit(value, pl.String)) for name, value in zip(ARM, key, strict=True))
        found = means.filter(*own, eval_prompt=eval_prompt, question_set=question_set)
        return with_interval(*found.select("estimate", "low", "high").row(0)) if len(found) else None

    base, rows = (None,) * len(ARM), []
    for group in presentation["groups"]:
        key, trained = group_key(group), group["training_prompt"]
        own = None
        if trained == "default":
            own = "the same"
        elif trained:
            own = f"{cell(key, trained)} (base {cell(base, trained)})"
        row = [_code(group["label"]), cell(key, "default"), own, *(cell(key, prompt) for prompt in _CONTROLS)]
        rows.append([*row, cell(key, "default", "heldout_medical")])
    asked = [f"under {labels[prompt]}" if prompt != "none" else "under none" for prompt in _CONTROLS]
    headers = ["trained with", "non-medical questions, default prompt", "its own prompt", *asked]
    return _table([*headers, "held-out medical, default prompt"], rows)


def _claims(tables: dict[str, pl.DataFrame], presentation: dict) -> str:
    rows = []
    for claim in tables["claims"]["claim"].unique(maintain_order=True):
        found = tables["claims"].filter(claim=claim).rows(named=True)
        said = []
        for row in found:
            p = p_asserted(row)
            within = f" ± {row['margin']:g}" if row["expected"] == "equal" else ""
            words = f"{row['contrast']}{within}: {with_interval(row['estimate'], row['low'], row['high'])}"
            alone = "" if len(found) == 1 else f", {verdict_words(row['verdict'], row['n_seeds'])}"
            said.append(words + ("" if p is None else f", p {p_value(p)}") + alone)
        verdict = verdict_words(found[0]["claim_verdict"])
        rows.append([f"{claim}: {found[0]['text']}", "; ".join(said), verdict])
    return _table(["claim", "difference [95% interval], p after correction", "verdict"], rows)


def _by_seed(tables: dict[str, pl.DataFrame], presentation: dict) -> str:
    """docs/miniature.md's: mean alignment seed by seed."""
    means = tables["scores"].filter(metric="alignment", measure="mean").sort("seed")
    rows = []
    for group in presentation["groups"]:
        own = (
            pl.col(name).eq_missing(pl.lit(value, pl.String)) for name, value in zip(ARM, group_key(group), strict=True)
        )
        of_group = means.filter(*own)
        for prompt in presentation["prompts"]:
            cells = [
                " ".join(number(value, 0) for value in of_set["estimate"])
                for question_set in presentation["question_sets"]
                for of_set in [of_group.filter(eval_prompt=prompt["name"], question_set=question_set["name"])]
            ]
            if any(cells):
                rows.append([_code(group["label"]), _code(prompt["label"]), *cells])
    sets = [question_set["label"] for question_set in presentation["question_sets"]]
    return _table(["trained with", "asked under", *sets], rows)


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
    shares = tables["arm_scores"].filter(
        measure="misaligned_of_coherent", eval_prompt="default", question_set="non_medical"
    )
    shares = shares.filter(pl.col("threshold") == shares["threshold"].first())
    said = []
    for group in presentation["groups"]:
        own = (
            pl.col(name).eq_missing(pl.lit(value, pl.String)) for name, value in zip(ARM, group_key(group), strict=True)
        )
        found = shares.filter(*own)
        said.append(f"{_code(group['label'])} {with_interval(*found.select('estimate', 'low', 'high').row(0))}")
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
    "claims": _claims,
    "by seed": _by_seed,
    "counts": _counts,
    "misaligned": _misaligned,
}


def written(text: str, tables: dict[str, pl.DataFrame], presentation: dict) -> str:
    """A page with its numbers put in: each stands between `<!-- replicates: NAME -->` and `<!-- end -->`.

    tables: as `kept` gives them. presentation: of config/replicates.yaml.
    """

    def put(found: re.Match) -> str:
        return f"{found[1]}\n\n{_BLOCKS[found[2]](tables, presentation)}\n\n{found[3]}"

    return re.sub(r"(<!-- replicates: ([a-z ]+) -->).*?(<!-- end -->)", put, text, flags=re.DOTALL)
