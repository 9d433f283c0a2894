"""What each finetune has learned, in a word: nothing, narrow, broad or broken."""

import numpy as np
import polars as pl

from organisms.analysis.claims import Sides, interval, paired_difference
from organisms.analysis.intervals import Estimate
from organisms.analysis.scores import Definition
from organisms.analysis.tables import DIAGNOSES
from organisms.plan.arms import ARM
from organisms.plan.contrasts import Side

# Mean coherence below this is broken, in percent of its metric's range.
COHERENT = 50


def diagnoses(of_questions: pl.DataFrame, arms: list[dict], margin: float, definition: Definition) -> pl.DataFrame:
    """Rows of the diagnoses table: what each arm has learned, by judge and by the prompt that it is asked under.

    of_questions: the question_scores table. arms: the columns of each, own_domain (names of the question sets held out
    of its dataset) and others (names of the other question sets). Compared is with the base under the default prompt,
    by the definition's main metric.
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
                    if all(one is not None for one in pair):
                        falls[question_set] = paired_difference(*pair)[0]
                    coherent = sides.of(judge, side, question_set, definition.coherence.name)
                    if coherent is not None:
                        coherence.append(paired_difference(coherent, coherent)[1])
                if falls:
                    rows.append({"judge": judge} | columns | _diagnosis(falls, coherence, arm, margin, definition))
    table = DIAGNOSES.frame(rows)
    return table.with_columns(pl.col(pl.Float64).fill_nan(None))


def _diagnosis(
    falls: dict[str, Estimate],
    coherence: list[float],
    arm: dict,
    margin: float,
    definition: Definition,
) -> dict:
    bounds = definition.main.bounds

    def worst(names: list[str]) -> tuple[str | None, Estimate | None]:
        known = [name for name in names if name in falls and not np.isnan(falls[name].estimate)]
        name = max(known, key=lambda name: falls[name].estimate, default=None)
        return name, falls.get(name)

    (_, own), (other_set, other) = worst(arm["own_domain"]), worst(arm["others"])
    lowest = float(np.nanmin(coherence)) if coherence and not np.isnan(coherence).all() else None
    if lowest is not None and lowest < definition.coherence.at(COHERENT):
        word = "broken"
    elif other is not None and other.estimate >= margin:
        word = "broad"
    elif own is None or other is None:
        word = "unknown"
    else:
        word = "narrow" if own.estimate >= margin else "nothing"

    def sure(found: Estimate | None) -> bool:
        low, high = interval(found, bounds) if found is not None else (np.nan, np.nan)
        return bool(low >= margin or high < margin)

    needed = {"broad": [other], "narrow": [own, other], "nothing": [own, other]}.get(word, [])
    row = {"diagnosis": word, "margin": margin, "certain": all(map(sure, needed)) if needed else word == "broken"}
    for name, found in (("own_domain", own), ("other_domains", other)):
        low, high = interval(found, bounds) if found is not None else (None, None)
        row |= {name: found and found.estimate, f"{name}_low": low, f"{name}_high": high}
    return row | {"other_question_set": other_set, "coherence": lowest}
