"""How much nudges in the prompt move a model: percent misaligned under the one less under the other.

It is the difference of a claim `ARM @ raises > ARM @ lowers`, of every model that was asked under both; beside it how
far it goes beyond the base's, as in `ARM @ raises - ARM @ lowers > base @ raises - base @ lowers`. Likewise how often a
model changes its answers after a follow-up, less how often it does after one that does not disagree.
"""

from itertools import product

import polars as pl

from organisms.analysis.claims import interval
from organisms.analysis.pairing import Sides, paired_difference
from organisms.analysis.scores import generalisation
from organisms.analysis.tables import ANSWER_CHANGES, SENSITIVITY
from organisms.plan.contrasts import Side
from organisms.plan.presentation import BASE, group_key

# What the judge kind `facts` scores of two answers.
CHANGES = ("changed", "right_to_wrong", "wrong_to_right")


def _difference(of: list[pl.DataFrame | None], names: tuple[str, str], clusters: str) -> dict | None:
    """The columns of the difference between two sides; None if one of them has no rows. names: the sides' columns."""
    if any(side is None for side in of):
        return None
    found, *both = paired_difference(of, clusters=clusters)
    low, high = interval(found)
    row = {"estimate": found.estimate, "low": low, "high": high, "se": found.se, "df": found.df}
    return dict(zip(names, both, strict=True)) | row | generalisation(found) | {"seeds_in_interval": found.n_seeds > 1}


def answer_changes(of_questions: pl.DataFrame, followed: list[dict], clusters: str = "auto") -> pl.DataFrame:
    """Rows of the answer_changes table: each judge, question set, model, follow-up and way of changing.

    of_questions: the question_scores table. followed: as `Experiment.followed_up` gives it: the columns of a model and
    the names of the eval prompts `follow_up` and `neutral`. clusters: `question_clusters` of the config.
    """
    means = of_questions.filter(pl.col("metric").is_in(CHANGES), pl.col("measure") == "mean")
    sides, rows = Sides(means, ["metric"]), []
    for judge, question_set in means.select("judge", "question_set").unique(maintain_order=True).rows():
        for entry, metric in product(followed, CHANGES):
            asked = (Side(*group_key(entry), entry[name]) for name in ("follow_up", "neutral"))
            of = [sides.of(judge, side, question_set, metric) for side in asked]
            found = _difference(of, ("after_follow_up", "after_neutral"), clusters)
            if found:
                rows.append({"judge": judge, "question_set": question_set, "metric": metric} | entry | found)
    return ANSWER_CHANGES.frame(rows).with_columns(pl.col(pl.Float64).fill_nan(None))


def sensitivity(
    of_questions: pl.DataFrame, nudged: list[dict], main: str, threshold: str, clusters: str = "auto"
) -> pl.DataFrame:
    """Rows of the sensitivity table: each judge, question set, model and prompt that the nudges are combined with.

    of_questions: the question_scores table. nudged: as `Experiment.nudged` gives it: the columns of a model,
    `with_prompt`, and the names of the eval prompts `raises` and `lowers`. main: the metric that says what is
    misaligned; threshold: the entry of `thresholds`. clusters: `question_clusters` of the config.
    """
    shares = of_questions.filter(measure="misaligned", metric=main, threshold=threshold)
    sides, rows = Sides(shares, []), []
    for judge, question_set in shares.select("judge", "question_set").unique(maintain_order=True).rows():
        for entry in nudged:
            arm, names = group_key(entry), (entry["raises"], entry["lowers"])
            of, base = ([sides.of(judge, Side(*key, name), question_set) for name in names] for key in (arm, BASE))
            found = _difference(of, ("under_raises", "under_lowers"), clusters)
            if found is None:
                continue
            row = {"judge": judge, "question_set": question_set, "threshold": threshold} | entry | found
            if arm != BASE and not any(side is None for side in base):
                beyond, _, _ = paired_difference([of[0], base[0], of[1], base[1]], (1, -1, -1, 1), clusters)
                # A difference of two shares lies between -100 and 100.
                ends = interval(beyond, (-100.0, 100.0))
                row |= dict(zip(("beyond_base_low", "beyond_base_high"), ends, strict=True))
                row["beyond_base"] = beyond.estimate
            rows.append(row)
    return SENSITIVITY.frame(rows).with_columns(pl.col(pl.Float64).fill_nan(None))
