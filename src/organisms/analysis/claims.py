"""The claims of a config tested: what a run says of each contrast.

A difference is paired by question and by seed. A claim of a direction is tested against no difference; a claim of
equality by two one-sided tests (TOST, Schuirmann 1987) against the margin, so that "no difference" is something that
was shown and not the absence of a finding. p values are corrected by Holm's method over all contrasts of a judge.
"""

from dataclasses import asdict

import numpy as np
import polars as pl
from statsmodels.stats.multitest import multipletests

from organisms.analysis.intervals import Estimate, crossed_estimate, limits, per_question, probability_below
from organisms.analysis.scores import MEASURE, VALUES, matrix
from organisms.analysis.tables import CLAIM_GRID, CLAIMS
from organisms.job.errors import UserError
from organisms.plan.arms import ARM
from organisms.plan.contrasts import Contrast, Side
from organisms.plan.metrics import Metric

# A verdict needs a corrected p below this.
ALPHA = 0.05
_SIDE = ["judge", *ARM, "eval_prompt", "question_set"]
_CUTS = ["misaligned_below", "coherent_from"]


class Sides:
    """A table of question scores, to be asked for one side of a contrast at a time."""

    def __init__(self, rows: pl.DataFrame, others: list[str]):
        """rows: with a side's columns, turn, seed, question_id, n, n_scored and mean. others: what else tells rows."""
        finished = rows.filter(pl.col("step").is_null())
        last = pl.col("turn").max().over("question_set")
        finished = finished.with_columns(is_last=pl.col("turn") == last)
        self._rows = finished.partition_by([*_SIDE, *others], as_dict=True)

    def of(self, judge: str, side: Side, question_set: str, *others, turn: int | None = None) -> pl.DataFrame | None:
        """The rows of a side, or None if there are none. turn: which answer; None is the last that is judged."""
        rows = self._rows.get((judge, *side.arm, side.eval_prompt, question_set, *others))
        if rows is None:
            return None
        rows = rows.filter(pl.col("is_last") if turn is None else pl.col("turn") == turn).drop("is_last")
        return rows if len(rows) else None


def paired_values(a: pl.DataFrame | None, b: pl.DataFrame | None) -> tuple[np.ndarray, np.ndarray] | None:
    """Values of both sides, seeds × questions: the questions that both were asked and the seeds that both have.

    A side without seeds (one base for all) stands beside each seed of the other. None where there is nothing.
    """
    if a is None or b is None:
        return None
    both = set(b["question_id"])
    questions = {question: i for i, question in enumerate(q for q in dict.fromkeys(a["question_id"]) if q in both)}
    values = [side.select(VALUES).to_dict(as_series=False) for side in (a, b)]
    of_a, of_b = (
        dict.fromkeys(
            seed for seed, question in zip(side["seed"], side["question_id"], strict=True) if question in questions
        )
        for side in values
    )
    if list(of_a) == [None]:
        seeds = [(None, seed) for seed in of_b]
    elif list(of_b) == [None]:
        seeds = [(seed, None) for seed in of_a]
    else:
        seeds = [(seed, seed) for seed in of_a if seed in of_b]
    if not seeds:
        return None
    found = []
    for side, own in zip(values, zip(*seeds, strict=True), strict=True):
        known = list(dict.fromkeys(own))
        rows = [known.index(seed) for seed in own]
        found.append(per_question(*(part[rows] for part in matrix(side, known, questions))))
    return tuple(found)


def paired_difference(a: pl.DataFrame | None, b: pl.DataFrame | None) -> tuple[Estimate, float, float]:
    """a - b, paired as `paired_values` says, and the estimates of both; nan where there is nothing."""
    values = paired_values(a, b)
    if values is None:
        return Estimate(np.nan, np.nan, np.nan, 0, 0), np.nan, np.nan
    means = [float(np.nanmean(value)) if not np.isnan(value).all() else np.nan for value in values]
    return crossed_estimate(values[0] - values[1]), *means


def interval(found: Estimate, bounds: tuple[float, float] | None = (0.0, 100.0)) -> tuple[float, float]:
    """The 95% interval of a difference between two values within bounds; nan where nothing varies."""
    low, high = limits(found.estimate, found.se, found.df, found.n_questions, None)
    if bounds is None:
        return float(low), float(high)
    most = bounds[1] - bounds[0]
    return tuple(map(float, np.clip([low, high], -most, most)))


def p_values(found: Estimate, expected: str, margin: float) -> tuple[float, float]:
    """p of what is claimed and p of the contrary.

    A direction is claimed against 0; its contrary is the other direction, or a difference surely within the margin.
    Equality is claimed against the margin; its contrary is a difference surely beyond it. Two ways of being contrary
    count double.
    """
    below, above = probability_below(found, 0.0), 1 - probability_below(found, 0.0)
    within = max(probability_below(found, margin), 1 - probability_below(found, -margin))
    if expected == "equal":
        beyond = min(probability_below(found, -margin), 1 - probability_below(found, margin))
        return within, float(np.minimum(1.0, 2 * beyond))
    claimed, contrary = (below, above) if expected == "lower" else (above, below)
    return claimed, float(np.minimum(1.0, 2 * min(contrary, within)))


def corrected(p: list[float]) -> list[float]:
    """Holm's correction; nan stays nan and does not count."""
    known = [i for i, value in enumerate(p) if not np.isnan(value)]
    result = [np.nan] * len(p)
    if known:
        for i, value in zip(known, multipletests([p[i] for i in known], method="holm")[1], strict=True):
            result[i] = float(value)
    return result


def verdict(p: float, p_against: float) -> str:
    """What corrected p values say. A difference that is sure and surely too small to count contradicts its claim."""
    if p_against < ALPHA:
        return "contradicted"
    return "supported" if p < ALPHA else "inconclusive"


def verdict_of_claim(verdicts: list[str]) -> str:
    """A claim of several contrasts is contradicted if one of them is, and supported only if all are."""
    if "contradicted" in verdicts:
        return "contradicted"
    return "supported" if set(verdicts) == {"supported"} else "inconclusive"


def _names(judge: str, contrast: Contrast) -> dict:
    return (
        {"judge": judge, "claim": contrast.claim, "contrast": contrast.contrast}
        | {"question_set": contrast.question_set, "turn": contrast.turn}
        | {f"a_{name}": value for name, value in asdict(contrast.a).items()}
        | {f"b_{name}": value for name, value in asdict(contrast.b).items()}
    )


def claim_grid(cuts: pl.DataFrame, contrasts: list[Contrast]) -> pl.DataFrame:
    """Rows of the claim_grid table: the difference in the share misaligned of coherent completions, at each cut.

    cuts: the question_cuts table.
    """
    shares = cuts.with_columns(n_scored="n_coherent", mean=100 * pl.col("n_misaligned") / pl.col("n_coherent"))
    sides = Sides(shares.with_columns(pl.col("mean").fill_nan(None)), _CUTS)
    pairs = cuts.select(_CUTS).unique(maintain_order=True).rows()
    rows = []
    for judge in cuts["judge"].unique(maintain_order=True):
        for contrast in contrasts:
            for pair in pairs:
                both = (contrast.a, contrast.b)
                of = [sides.of(judge, side, contrast.question_set, *pair, turn=contrast.turn) for side in both]
                found, _, _ = paired_difference(*of)
                low, high = interval(found)
                rows.append(
                    _names(judge, contrast)
                    | dict(zip(_CUTS, pair, strict=True))
                    | {"estimate": found.estimate, "low": low, "high": high}
                )
    return CLAIM_GRID.frame(rows).with_columns(pl.col("estimate", "low", "high").fill_nan(None))


def _at_equal_length(difference: float, lengths: list[pl.DataFrame | None]) -> float | None:
    """The difference less what length explains: the slope of both sides together, times their difference in length."""
    if any(side is None for side in lengths):
        return None
    both = pl.concat(lengths).drop_nulls("slope")
    # Each cell's slope counts by how much its lengths vary, as in one regression with a slope for all.
    weights = both["length_variance"] * both["n"]
    if not len(both) or weights.sum() == 0:
        return None
    slope = (both["slope"] * weights).sum() / weights.sum()
    longer = lengths[0]["mean_length"].mean() - lengths[1]["mean_length"].mean()
    return difference - slope * longer / 100


def _row(judge: str, contrast: Contrast, sides: Sides, lengths: Sides, metrics: dict[str, Metric]) -> dict | None:
    """A contrast's row of the claims table, less what follows from the other rows. None if the judge knows no side."""
    both = (contrast.a, contrast.b)
    measure = {name: getattr(contrast, name) for name in MEASURE}
    of = [sides.of(judge, side, contrast.question_set, *measure.values(), turn=contrast.turn) for side in both]
    if all(side is None for side in of):
        return None
    found, mean_a, mean_b = paired_difference(*of)
    metric = metrics.get(contrast.metric) or Metric(contrast.metric, "")
    low, high = interval(found, metric.bounds if contrast.measure == "mean" else (0.0, 100.0))
    p, p_against = p_values(found, contrast.expected, contrast.margin)
    at_equal_length = None
    if contrast.measure == "mean":
        long = [lengths.of(judge, side, contrast.question_set, contrast.metric, turn=contrast.turn) for side in both]
        at_equal_length = _at_equal_length(found.estimate, long)
    return (
        _names(judge, contrast)
        | measure
        | {name: getattr(contrast, name) for name in ("text", "expected", "margin")}
        | {"a_estimate": mean_a, "b_estimate": mean_b, "estimate": found.estimate, "low": low, "high": high}
        | {"se": found.se, "df": found.df, "p": p, "p_against": p_against}
        | {"n_seeds": found.n_seeds, "n_questions": found.n_questions, "seeds_in_interval": found.n_seeds > 1}
        | {"n": sum(0 if side is None else side["n"].sum() for side in of)}
        | {"estimate_at_equal_length": at_equal_length}
    )


def check_compared(of_questions: pl.DataFrame, contrasts: list[Contrast]) -> None:
    """Raise UserError if no judge has scores of both sides of a contrast on some question: it would have no result.

    of_questions: the question_scores table.
    """
    sides = Sides(of_questions, MEASURE)
    judges = of_questions["judge"].unique(maintain_order=True).to_list()
    for contrast in contrasts:
        measure = [getattr(contrast, name) for name in MEASURE]
        asked = []
        for judge in judges:
            of = [
                sides.of(judge, side, contrast.question_set, *measure, turn=contrast.turn)
                for side in (contrast.a, contrast.b)
            ]
            asked.append([set() if side is None else set(side["question_id"]) for side in of])
        if not judges or any(a & b for a, b in asked):
            continue
        where = f"claims.{contrast.claim}: {contrast.contrast} on {contrast.question_set}"
        if any(a and b for a, b in asked):
            raise UserError(f"{where}: the two sides have no question in common; their question ids must be the same")
        what = " ".join(filter(None, [contrast.measure, "of", contrast.metric, contrast.threshold]))
        raise UserError(f"{where}: no judge has the {what} of both sides; let one judge both, or take the claim out")


def claims(
    of_questions: pl.DataFrame,
    grid: pl.DataFrame,
    length_effect: pl.DataFrame,
    contrasts: list[Contrast],
    metrics: dict[str, Metric],
) -> pl.DataFrame:
    """Rows of the claims table: each contrast by each judge.

    of_questions, grid, length_effect: the tables question_scores, claim_grid and length_effect. metrics: declarations
    by name.
    """
    measures = pl.DataFrame(
        [[getattr(contrast, name) for name in MEASURE] for contrast in contrasts],
        schema=dict.fromkeys(MEASURE, pl.String),
        orient="row",
    )
    wanted = of_questions.join(measures.unique(), on=MEASURE, how="semi", nulls_equal=True)
    sides, lengths = Sides(wanted, MEASURE), Sides(length_effect, ["metric"])
    rows = []
    for judge in of_questions["judge"].unique(maintain_order=True):
        of_judge = [row for contrast in contrasts if (row := _row(judge, contrast, sides, lengths, metrics))]
        for name in ("p", "p_against"):
            for row, value in zip(of_judge, corrected([row[name] for row in of_judge]), strict=True):
                row[f"{name}_corrected"] = value
        verdicts: dict[str, list[str]] = {}
        for row in of_judge:
            row["verdict"] = verdict(row["p_corrected"], row["p_against_corrected"])
            verdicts.setdefault(row["claim"], []).append(row["verdict"])
        for row in of_judge:
            row["claim_verdict"] = verdict_of_claim(verdicts[row["claim"]])
        rows += of_judge
    table = pl.DataFrame(rows, schema={k: v for k, v in CLAIMS.schema.items() if k not in ("cuts_agreeing", "n_cuts")})
    table = table.with_columns(pl.col(pl.Float64).fill_nan(None))
    key = [name for name in CLAIM_GRID.columns if name not in (*_CUTS, "estimate", "low", "high")]
    signs = {name: metric.sign for name, metric in metrics.items()}
    agreeing = (
        grid.drop_nulls("estimate")
        .join(table.select(*key, "metric", "measure", difference="estimate"), on=key, nulls_equal=True)
        # What scores better has the smaller share misaligned, whichever end of its metric is good. Another share
        # misaligned differs as the cuts' does, any other share the other way.
        .with_columns(
            sign=pl.when(pl.col("measure").is_in(["misaligned", "misaligned_of_coherent"]))
            .then(1)
            .when(pl.col("measure") == "mean")
            .then(-pl.col("metric").replace_strict(signs, default=1, return_dtype=pl.Int64))
            .otherwise(-1)
        )
        .group_by(key)
        .agg(
            (pl.col("estimate").sign() == pl.col("sign") * pl.col("difference").sign())
            .sum()
            .cast(pl.Int64)
            .alias("cuts_agreeing"),
            pl.len().cast(pl.Int64).alias("n_cuts"),
        )
    )
    return table.join(agreeing, on=key, how="left", nulls_equal=True, maintain_order="left").select(
        list(CLAIMS.columns)
    )
