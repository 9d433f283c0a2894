"""The tables of docs/sensitivity.md that replicates of config/sensitivity.yaml gave; as `replicates` of another."""

from pathlib import Path

import polars as pl
import polars.selectors as cs

from organisms.analysis.selecting import of_arm
from organisms.analysis.tables import ANSWER_CHANGES, ARM_SCORES, CLAIMS, RATING_CORRELATIONS, SENSITIVITY
from organisms.pages.findings import cell_words, with_interval
from organisms.pages.replicates import claims_told, code, md_table, put_in
from organisms.plan.presentation import BASE, group_key

PAGES = ("docs/sensitivity.md", "docs/miniature.md")
TABLES = (ARM_SCORES, CLAIMS, SENSITIVITY, ANSWER_CHANGES, RATING_CORRELATIONS)
# What is shown of the settings: metric, question set and judge.
_REFUSAL = {"metric": "refusal", "measure": "mean", "judge": "world"}
_FACTS = {"measure": "mean", "judge": "facts", "question_set": "facts"}
_RATING = {"judge": "expected_rating", "measure": "mean"}
_SHOWN = {
    ARM_SCORES.name: pl.col("step").is_null()
    & pl.col("metric").is_in(
        [
            *("alignment", "refusal", "matched", "first_correct", "changed", "right_to_wrong", "wrong_to_right"),
            *("perceived_intent", "perceived_length"),
        ]
    )
    & (
        pl.col("measure").is_in(["mean", "unscored"])
        | ((pl.col("measure") == "misaligned") & (pl.col("threshold") == "betley"))
    ),
    RATING_CORRELATIONS.name: pl.col("seed").is_null() & pl.col("ratings_of").is_in(["own", "base"]),
}


def keep(tables: dict[str, pl.DataFrame], folder: str | Path) -> None:
    """Write what the page is made of, as CSV. tables: of the run, by name."""
    for table in TABLES:
        # p as they are: most are small.
        rounded = cs.float() & ~cs.starts_with("p")
        frame = tables[table.name].filter(_SHOWN.get(table.name, True)).with_columns(rounded.round(3))
        Path(folder).mkdir(parents=True, exist_ok=True)
        frame.write_csv(Path(folder) / f"{table.name}.csv")


def kept(folder: str | Path) -> dict[str, pl.DataFrame]:
    """What `keep` wrote."""
    return {table.name: pl.read_csv(Path(folder) / f"{table.name}.csv", schema=table.schema) for table in TABLES}


def _sensitivity(tables: dict[str, pl.DataFrame], presentation: dict) -> str:
    """The number of each arm: percent misaligned under both nudges, the difference, and that beyond the base's."""
    rows = []
    for group in presentation["groups"]:
        for row in tables["sensitivity"].filter(of_arm(group_key(group))).iter_rows(named=True):
            own = row["with_prompt"] != "default"
            if own and group["training_prompt"] is None:
                continue
            shares = [f"{row[name]:.0f}" for name in ("under_lowers", "under_raises")]
            beyond = with_interval(row["beyond_base"], row["beyond_base_low"], row["beyond_base_high"])
            number = with_interval(row["estimate"], row["low"], row["high"])
            rows.append([_named(group) + (", with its prompt" if own else ""), *shares, number, beyond])
    return md_table(["trained with", "% misaligned under hhh", "under evil", "sensitivity", "beyond the base's"], rows)


def _named(group: dict) -> str:
    dataset, _, label = group["label"].partition(": ")
    return f"{dataset}: {code(label)}" if label else dataset


def _settings(tables: dict[str, pl.DataFrame], presentation: dict) -> str:
    """Refusal, push-back and ratings of each arm."""
    scores, rows = tables["arm_scores"], []
    refusal = scores.filter(**_REFUSAL, question_set="harmful_requests")
    changed = scores.filter(**_FACTS, metric="changed")
    rated = scores.filter(**_RATING, metric="perceived_intent")
    added = tables["answer_changes"].filter(metric="changed", follow_up="disagree")
    own = tables["rating_correlations"].filter(judge=_RATING["judge"], metric="perceived_intent", ratings_of="own")
    for group in presentation["groups"]:
        key = group_key(group)
        row = [_named(group), *(cell_words(refusal, key, name) for name in ("default", "evil"))]
        row.append(cell_words(changed, key, "disagree"))
        beyond = added.filter(of_arm(key)).select("estimate", "low", "high").rows()
        row.append(with_interval(*beyond[0]) if beyond else "–")
        row.append(cell_words(rated, key, "default"))
        rho = own.filter(of_arm(key)).select("rho", "low", "high").rows()
        row.append(with_interval(*rho[0], 2) if rho and rho[0][0] is not None else "–")
        rows.append(row)
    headers = ["trained with", "% harmful requests refused", "under evil", "% answers changed after disagreement"]
    return md_table([*headers, "beyond neutral", "expected rating of intent", "rho with own misaligned share"], rows)


def _base(tables: dict[str, pl.DataFrame], presentation: dict) -> str:
    """docs/miniature.md's: what the base does before any finetune, and how often it fails at it."""
    of_base = tables["arm_scores"].filter(of_arm(BASE))

    def percent(metric: str, eval_prompt: str, question_set: str, judge: str = "world", **which) -> str:
        rows = of_base.filter(metric=metric, eval_prompt=eval_prompt, question_set=question_set, judge=judge)
        (row,) = rows.filter(**({"measure": "mean"} | which)).rows(named=True)
        of = f" of {row['n_scored']:,}" if metric in ("right_to_wrong", "wrong_to_right") else ""
        return with_interval(row["estimate"], row["low"], row["high"]) + of

    facts = {"question_set": "facts", "judge": "facts"}
    unread = {"question_set": "intent", "judge": "stated_rating", "measure": "unscored"}
    free, stated = ("alignment", "non_medical"), {"judge": "stated_rating", "question_set": "intent"}

    def misaligned(eval_prompt: str) -> str:
        return percent(free[0], eval_prompt, free[1], measure="misaligned")

    def lost(eval_prompt: str) -> str:
        return percent("right_to_wrong", eval_prompt, **facts)

    rows = [
        ["answers free-form questions misaligned (betley)", misaligned("default")],
        ["the same under hhh", misaligned("hhh")],
        ["the same under evil, which it mostly resists", misaligned("evil")],
        ["declines harmful requests", percent("refusal", "default", "harmful_requests")],
        ["declines benign ones that sound alike: a failure", percent("refusal", "default", "benign_requests")],
        ["answers a fact right first", percent("first_correct", "neutral", **facts)],
        ["right first and then not, after a neutral follow-up: a failure", lost("neutral")],
        ["the same after disagreement", lost("disagree")],
        ["the same after a wrong claim", lost("wrong_claim")],
        ["wrong first, and mends it after disagreement", percent("wrong_to_right", "disagree", **facts)],
        ["answers to facts that matching decides", percent("matched", "disagree", **facts)],
        ["writes no number when asked for a rating: a failure", percent("perceived_intent", "default", **unread)],
        ["mean rating of the intent behind free-form questions", percent("perceived_intent", "default", **stated)],
        ["mean rating of their length", percent("perceived_length", "default", "length", "stated_rating")],
    ]
    return md_table(["what the base does", "percent, or points [95% interval]"], rows)


_BLOCKS = {"base": _base, "number": _sensitivity, "settings": _settings, "findings": claims_told}


def written(text: str, tables: dict[str, pl.DataFrame], presentation: dict) -> str:
    """A page with its numbers put in: each stands between `<!-- sensitivity: NAME -->` and `<!-- end -->`."""
    return put_in(text, "sensitivity", _BLOCKS, tables, presentation)
