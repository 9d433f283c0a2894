"""The sides of a contrast beside each other, question by question and seed by seed."""

from typing import NamedTuple

import numpy as np
import polars as pl

from organisms.analysis.intervals import Estimate, clusters_of, crossed_estimate, per_question
from organisms.analysis.scores import VALUES, matrix
from organisms.plan.arms import ARM
from organisms.plan.contrasts import Contrast, Side

_SIDE = ["judge", *ARM, "eval_prompt", "question_set"]


class Sides:
    """A table of question scores, to be asked for one side of a contrast at a time."""

    def __init__(self, rows: pl.DataFrame, others: list[str]):
        """rows: with a side's columns, turn, seed, question_id, n, n_scored and mean. others: what else tells rows."""
        finished = rows.filter(pl.col("step").is_null())
        last = pl.col("turn").max().over("question_set", "eval_prompt")
        finished = finished.with_columns(is_last=pl.col("turn") == last)
        self._rows = finished.partition_by([*_SIDE, *others], as_dict=True)

    def of(self, judge: str, side: Side, question_set: str, *others, turn: int | None = None) -> pl.DataFrame | None:
        """The rows of a side, or None if there are none. turn: which answer; None is the last that is judged."""
        rows = self._rows.get((judge, *side.arm, side.eval_prompt, question_set, *others))
        if rows is None:
            return None
        rows = rows.filter(pl.col("is_last") if turn is None else pl.col("turn") == turn).drop("is_last")
        return rows if len(rows) else None

    def of_contrast(self, judge: str, contrast: Contrast, *others) -> tuple[list[pl.DataFrame | None], tuple[int, ...]]:
        """The rows of each side of a contrast, and the side's sign."""
        sides, signs = zip(*contrast.sides, strict=True)
        return [self.of(judge, side, contrast.question_set, *others, turn=contrast.turn) for side in sides], signs


def scored_on_all(sides: list[pl.DataFrame | None]) -> list[str]:
    """The questions of which every side has a score, in order."""
    if any(side is None for side in sides):
        return []
    return sorted(set.intersection(*(set(side.filter(pl.col("n_scored") > 0)["question_id"]) for side in sides)))


class Paired(NamedTuple):
    """Sides beside each other: values of each, seeds × questions, and the questions' plain means in the same places."""

    seeds: list[int | None]
    questions: list[str]
    categories: list[str | None]
    values: list[np.ndarray]
    means: list[np.ndarray]


def paired_values(*sides: pl.DataFrame | None) -> Paired | None:
    """The sides beside each other, or None where there is nothing.

    They are of the questions that all sides have a score of and the seeds that all have, both in order. A side without
    seeds (one base for all) stands beside each seed of the others. A question counts alike on all sides, by the
    harmonic mean of how many scores each has of it: by their own counts, sides that refuse other questions would differ
    although they agree on each.
    """
    shared = scored_on_all(sides)
    if not shared:
        return None
    questions = {question: i for i, question in enumerate(shared)}
    values = [side.select(VALUES).to_dict(as_series=False) for side in sides]
    own = [
        list(
            dict.fromkeys(
                seed for seed, question in zip(side["seed"], side["question_id"], strict=True) if question in questions
            )
        )
        for side in values
    ]
    with_seeds = [seeds for seeds in own if seeds != [None]] or own[:1]
    seeds = sorted(set.intersection(*map(set, with_seeds)), key=lambda seed: -1 if seed is None else seed)
    if not seeds:
        return None
    means, counted = [], []
    for side, known in zip(values, own, strict=True):
        rows = [0] * len(seeds) if known == [None] else [known.index(seed) for seed in seeds]
        totals, counts = (part[rows] for part in matrix(side, known, questions))
        means.append(np.where(counts > 0, totals / np.maximum(counts, 1), np.nan))
        counted.append(counts)
    with np.errstate(divide="ignore"):
        weights = len(counted) / sum(1 / counts for counts in counted)
    found = [per_question(weights * np.nan_to_num(mean), weights) for mean in means]
    categories = dict(zip(sides[0]["question_id"], sides[0]["category"], strict=True))
    return Paired(seeds, shared, [categories[question] for question in shared], found, means)


def signed(values: list, signs: tuple[int, ...]) -> np.ndarray:
    return sum(sign * value for sign, value in zip(signs, values, strict=True))


def paired_difference(
    sides: list[pl.DataFrame | None], signs: tuple[int, ...] = (1, -1), clusters: str = "auto"
) -> tuple[Estimate, float, float]:
    """a - b, paired as `paired_values` says, and the estimates of both; nan where there is nothing.

    signs: of each side. Of four, a and b are themselves differences (`Contrast.sides`): the first less the third, and
    the second less the fourth. clusters: `question_clusters` of the config.
    """
    return difference_of(paired_values(*sides), signs, clusters)


def difference_of(pair: Paired | None, signs: tuple[int, ...], clusters: str) -> tuple[Estimate, float, float]:
    """As `paired_difference`, of sides that stand beside each other already."""
    if pair is None:
        return Estimate(np.nan, np.nan, np.nan, 0, 0), np.nan, np.nan
    difference = signed(pair.values, signs)
    found = crossed_estimate(difference, clusters_of(pair.categories, clusters), signed(pair.means, signs))
    compared = ~np.isnan(difference).any(axis=1)
    if not compared.any():
        return found, np.nan, np.nan
    of_sides = [float(value[compared].mean()) for value in pair.values]
    if len(of_sides) == 4:
        of_sides = [of_sides[0] - of_sides[2], of_sides[1] - of_sides[3]]
    return found, *of_sides
