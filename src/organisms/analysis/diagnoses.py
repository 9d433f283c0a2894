"""What each finetune has learned, in a word: nothing, narrow, broad or broken.

The word is what the intervals say, and `uncertain` where they leave several open; what the estimates alone say stands
beside it.
"""

import numpy as np
import polars as pl

from organisms.analysis.claims import interval
from organisms.analysis.intervals import Estimate, clusters_of, crossed_estimate, limits
from organisms.analysis.pairing import Paired, Sides, paired_difference, paired_values
from organisms.analysis.scores import Definition
from organisms.analysis.tables import DIAGNOSES
from organisms.plan.arms import ARM
from organisms.plan.contrasts import Side

# Mean coherence below this is broken, in percent of its metric's range.
COHERENT = 50
UNCERTAIN = "uncertain"
# A number with the ends of its interval.
_Ranged = tuple[float, float, float]


def diagnoses(
    of_questions: pl.DataFrame, arms: list[dict], margin: float, definition: Definition, clusters: str = "auto"
) -> pl.DataFrame:
    """Rows of the diagnoses table: what each arm has learned, by judge and by the prompt that it is asked under.

    of_questions: the question_scores table. arms: the columns of each, own_domain (names of the question sets held out
    of its dataset) and others (names of the other question sets). Compared is with the base under the default prompt,
    by the definition's main metric. clusters: `question_clusters` of the config.
    """
    main, metrics = definition.main, [definition.main.name, definition.coherence.name]
    means = of_questions.filter(pl.col("measure") == "mean", pl.col("metric").is_in(metrics))
    sides = Sides(means, ["metric"])
    base = Side(None, None, None, "default")
    rows = []
    for judge in of_questions["judge"].unique(maintain_order=True):
        for arm in arms:
            for eval_prompt in dict.fromkeys(("default", arm["training_prompt"])):
                columns = {name: arm[name] for name in ARM} | {"eval_prompt": eval_prompt}
                side = Side(**columns)
                falls, coherence = {}, []
                for question_set in [*arm["own_domain"], *arm["others"]]:
                    pair = [sides.of(judge, one, question_set, main.name) for one in (base, side)]
                    # What is worse than the base falls, whichever end of the metric is good.
                    pair = pair if main.sign > 0 else pair[::-1]
                    fall = paired_difference(pair, clusters=clusters)[0]
                    if not np.isnan(fall.estimate):
                        falls[question_set] = fall
                    coherent = paired_values(sides.of(judge, side, question_set, definition.coherence.name))
                    if coherent is not None:
                        coherence.append(_mean(coherent, definition, clusters))
                if falls:
                    rows.append({"judge": judge} | columns | _diagnosis(falls, coherence, arm, margin, definition))
    table = DIAGNOSES.frame(rows)
    return table.with_columns(pl.col(pl.Float64).fill_nan(None))


def _mean(coherent: Paired, definition: Definition, clusters: str) -> _Ranged:
    """The mean of one side's coherence."""
    found = crossed_estimate(coherent.values[0], clusters_of(coherent.categories, clusters))
    low, high = limits(found.estimate, found.se, found.df, found.n_drawn, definition.coherence.bounds)
    return found.estimate, float(low), float(high)


def _word(own: _Ranged | None, others: list[_Ranged], coherence: list[_Ranged], margin: float, least: float) -> str:
    """The word that some intervals say. least: coherence below it is broken."""
    if any(high < least for _, _, high in coherence):
        return "broken"
    if not all(low >= least for _, low, _ in coherence):
        return UNCERTAIN
    if any(low >= margin for _, low, _ in others):
        return "broad"
    if own is None or not others:
        return "unknown"
    if not all(high < margin for _, _, high in others):
        return UNCERTAIN
    return "narrow" if own[1] >= margin else "nothing" if own[2] < margin else UNCERTAIN


def _diagnosis(
    falls: dict[str, Estimate], coherence: list[_Ranged], arm: dict, margin: float, definition: Definition
) -> dict:
    ranged = {name: (found.estimate, *interval(found, definition.main.bounds)) for name, found in falls.items()}

    def largest(names: list[str]) -> tuple[str | None, _Ranged | None]:
        name = max((name for name in names if name in ranged), key=lambda name: ranged[name][0], default=None)
        return name, ranged.get(name)

    (own_set, own), (other_set, other) = largest(arm["own_domain"]), largest(arm["others"])
    others = [ranged[name] for name in arm["others"] if name in ranged]
    least = definition.coherence.at(COHERENT)

    def points(found: _Ranged | None) -> _Ranged | None:
        return found and (found[0],) * 3

    words = [
        _word(one(own), [one(found) for found in others], [one(found) for found in coherence], margin, least)
        for one in (lambda found: found, points)
    ]
    n_seeds = min(falls[name].n_seeds for name in (own_set, other_set) if name)
    row = dict(zip(("diagnosis", "by_estimates"), words, strict=True)) | {"n_seeds": n_seeds, "margin": margin}
    lowest = min(coherence, default=None)
    for name, found in (("own_domain", own), ("other_domains", other), ("coherence", lowest)):
        row |= dict(zip((name, f"{name}_low", f"{name}_high"), found or (None, None, None), strict=True))
    return row | {"other_question_set": other_set}
