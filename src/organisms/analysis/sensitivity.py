"""How much nudges in the prompt move a model: percent misaligned under the one less under the other.

It is the difference of a claim `ARM @ raises > ARM @ lowers`, of every model that was asked under both; beside it how
far it goes beyond the base's, as in `ARM @ raises - ARM @ lowers > base @ raises - base @ lowers`.
"""

import polars as pl

from organisms.analysis.claims import interval
from organisms.analysis.pairing import Sides, paired_difference
from organisms.analysis.scores import generalisation
from organisms.analysis.tables import SENSITIVITY
from organisms.plan.contrasts import Side
from organisms.plan.presentation import BASE, group_key


def sensitivity(
    of_questions: pl.DataFrame, nudged: list[dict], main: str, threshold: str, clusters: str = "auto"
) -> pl.DataFrame:
    """Rows of the sensitivity table: each judge, question set, model and prompt that the nudges are combined with.

    of_questions: the question_scores table. nudged: as `Experiment.nudged` gives it: the columns of a model,
    `with_prompt`, and the names of the eval prompts `raises` and `lowers`. main: the metric that says what is
    misaligned; threshold: the entry of `thresholds`. clusters: `question_clusters` of the config.
    """
    shares = of_questions.filter(measure="misaligned", metric=main, threshold=threshold)
    sides = Sides(shares, [])
    rows = []
    for judge, question_set in shares.select("judge", "question_set").unique(maintain_order=True).rows():
        for entry in nudged:
            arm, names = group_key(entry), (entry["raises"], entry["lowers"])
            of, base = ([sides.of(judge, Side(*key, name), question_set) for name in names] for key in (arm, BASE))
            if any(side is None for side in of):
                continue
            found, under_raises, under_lowers = paired_difference(of, clusters=clusters)
            low, high = interval(found)
            row = {"judge": judge, "question_set": question_set, "threshold": threshold} | entry
            row |= {"under_raises": under_raises, "under_lowers": under_lowers}
            row |= {"estimate": found.estimate, "low": low, "high": high, "se": found.se, "df": found.df}
            row |= generalisation(found) | {"seeds_in_interval": found.n_seeds > 1}
            if arm != BASE and not any(side is None for side in base):
                beyond, _, _ = paired_difference([of[0], base[0], of[1], base[1]], (1, -1, -1, 1), clusters)
                # A difference of two shares lies between -100 and 100.
                ends = interval(beyond, (-100.0, 100.0))
                row |= dict(zip(("beyond_base_low", "beyond_base_high"), ends, strict=True))
                row["beyond_base"] = beyond.estimate
            rows.append(row)
    return SENSITIVITY.frame(rows).with_columns(pl.col(pl.Float64).fill_nan(None))
