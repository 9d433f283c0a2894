"""The claims of a config tested: what a run says of each contrast.

A difference is paired by question and by seed. A claim of a direction is tested against no difference; a claim of
equality by two one-sided tests (TOST, Schuirmann 1987) against the margin, so that "no difference" is something that
was shown and not the absence of a finding. Every p counts both sides, so that p is below 0.05 where the 95% interval
says the same. Claims and their contraries are one family, corrected over all contrasts of a judge (`corrected`).
A claim of a correlation (`correlations`) is tested against none, by permutation.
"""

from dataclasses import asdict
from itertools import product

import numpy as np
import polars as pl

from organisms.analysis.correlations import by_question, of_seed_means
from organisms.analysis.intervals import (
    Estimate,
    clusters_of,
    crossed_estimate,
    limits,
    probability_below,
)
from organisms.analysis.pairing import (
    Paired,
    Sides,
    difference_of,
    paired_difference,
    paired_values,
    scored_on_all,
    signed,
)
from organisms.analysis.scores import MEASURE, generalisation
from organisms.analysis.tables import CLAIM_GRID, CLAIMS
from organisms.job.errors import UserError
from organisms.plan.contrasts import Contrast
from organisms.plan.metrics import LENGTH, Metric

# A verdict needs a corrected p below this.
ALPHA = 0.05
# And so many seeds: of one or two it is not known how much they differ.
ENOUGH_SEEDS = 3
SUPPORTED, CONTRADICTED, INCONCLUSIVE = "supported", "contradicted", "inconclusive"
# Surely a difference of the claimed direction, and surely smaller than what counts.
BELOW_MARGIN = "below margin"
TOO_FEW_SEEDS = "too few seeds"
# One side has no score, or no two questions have one on both.
NOT_TESTED = "not tested"
_CUTS = ["misaligned_below", "coherent_from"]


def _reach(contrast: Contrast, bounds: tuple[float, float] | None) -> tuple[float, float] | None:
    """Bounds of what is compared: a difference of two values reaches twice as far as they do."""
    if bounds is None or contrast.a_less is None:
        return bounds
    width = bounds[1] - bounds[0]
    return -width, width


def _range_of(found: Estimate, bounds: tuple[float, float] | None) -> tuple[float, float] | None:
    """The range within which a difference is judged; None if Student's t serves.

    Where all questions but a few differ by the same (0 against 0, all against none), their spread says next to nothing
    of other questions, and t would be sure of everything.
    """
    if bounds is None or not (found.few_differ or found.se == 0):
        return None
    most = bounds[1] - bounds[0]
    return -most, most


def interval(found: Estimate, bounds: tuple[float, float] | None = (0.0, 100.0)) -> tuple[float, float]:
    """The 95% interval of a difference between two values within bounds; nan where there is one question."""
    low, high = limits(found.estimate, found.se, found.df, found.n_drawn, _range_of(found, bounds))
    if bounds is None:
        return float(low), float(high)
    most = bounds[1] - bounds[0]
    return tuple(map(float, np.clip([low, high], -most, most)))


def p_values(
    found: Estimate, expected: str, margin: float, bounds: tuple[float, float] | None = (0.0, 100.0)
) -> tuple[float, float]:
    """p of what is claimed and p of the contrary, each two-sided: below 0.05 if the 95% interval says it.

    A direction is claimed against 0; its contrary is the other direction, or a difference surely within the margin.
    Equality is claimed against the margin; its contrary is a difference surely beyond it. bounds: of both sides.
    """
    below, under, over = (probability_below(found, value, _range_of(found, bounds)) for value in (0.0, -margin, margin))
    above, within, beyond = 1 - below, max(over, 1 - under), min(under, 1 - over)
    if expected == "equal":
        claimed, contrary = within, beyond
    else:
        claimed, other = (below, above) if expected == "lower" else (above, below)
        contrary = min(other, within)
    return float(np.minimum(1.0, 2 * claimed)), float(np.minimum(1.0, 2 * contrary))


def corrected(pairs: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Holm's step-down correction over all contrasts; nan stays nan and does not count.

    pairs: of each contrast, p of what is claimed and p of the contrary. Both are in the one family, but they exclude
    each other, so that only one of a contrast's can be wrong: each step counts the contrasts with something left to be
    wrong about (Shaffer 1986), not the p values.
    """
    left = [sum(not np.isnan(p) for p in pair) for pair in pairs]
    found, so_far = [list(pair) for pair in pairs], 0.0
    for p, i, j in sorted((p, i, j) for i, pair in enumerate(pairs) for j, p in enumerate(pair) if not np.isnan(p)):
        so_far = max(so_far, min(1.0, p * sum(n > 0 for n in left)))
        found[i][j] = so_far
        left[i] -= 1
    return [tuple(pair) for pair in found]


def verdict(p: float, p_against: float) -> str:
    """What corrected p values say; both sure is a difference that is there and surely too small to count."""
    if np.isnan(p) and np.isnan(p_against):
        return NOT_TESTED
    if p < ALPHA:
        return BELOW_MARGIN if p_against < ALPHA else SUPPORTED
    return CONTRADICTED if p_against < ALPHA else INCONCLUSIVE


def verdict_of_claim(verdicts: list[str]) -> str:
    """A claim of several contrasts is contradicted if one of them is, and supported only if all are."""
    if CONTRADICTED in verdicts:
        return CONTRADICTED
    for word, allowed in (
        (SUPPORTED, {SUPPORTED}),
        (BELOW_MARGIN, {SUPPORTED, BELOW_MARGIN}),
        (NOT_TESTED, {NOT_TESTED}),
        (TOO_FEW_SEEDS, {TOO_FEW_SEEDS, NOT_TESTED}),
    ):
        if set(verdicts) <= allowed:
            return word
    return INCONCLUSIVE


def p_asserted(row: dict) -> float | None:
    """The corrected p of what a row's verdict asserts; None where it asserts nothing. row: of the claims table."""
    p, against = row["p_corrected"], row["p_against_corrected"]
    return {SUPPORTED: p, CONTRADICTED: against, BELOW_MARGIN: p and max(p, against)}.get(row["verdict"])


def _names(judge: str, contrast: Contrast) -> dict:
    return (
        {"judge": judge, "claim": contrast.claim, "contrast": contrast.contrast}
        | {"question_set": contrast.question_set, "turn": contrast.turn}
        | {f"a_{name}": value for name, value in asdict(contrast.a).items()}
        | {f"b_{name}": value for name, value in asdict(contrast.b).items()}
        | {"is_difference": contrast.a_less is not None}
    )


def differences(contrasts: list[Contrast]) -> list[Contrast]:
    """The contrasts that are differences, and no correlations."""
    return [contrast for contrast in contrasts if not contrast.is_correlation]


def claim_grid(cuts: pl.DataFrame, contrasts: list[Contrast], clusters: str = "auto") -> pl.DataFrame:
    """Rows of the claim_grid table: the difference in the share misaligned of coherent completions, at each cut.

    cuts: the question_cuts table. clusters: `question_clusters` of the config.
    """
    shares = cuts.with_columns(n_scored="n_coherent", mean=100 * pl.col("n_misaligned") / pl.col("n_coherent"))
    sides = Sides(shares.with_columns(pl.col("mean").fill_nan(None)), _CUTS)
    pairs = cuts.select(_CUTS).unique(maintain_order=True).rows()
    rows = []
    for judge in cuts["judge"].unique(maintain_order=True):
        for contrast in differences(contrasts):
            for pair in pairs:
                of, signs = sides.of_contrast(judge, contrast, *pair)
                found, _, _ = paired_difference(of, signs, clusters)
                low, high = interval(found, _reach(contrast, (0.0, 100.0)))
                rows.append(
                    _names(judge, contrast)
                    | dict(zip(_CUTS, pair, strict=True))
                    | {"estimate": found.estimate, "low": low, "high": high}
                )
    return CLAIM_GRID.frame(rows).with_columns(pl.col("estimate", "low", "high").fill_nan(None))


def _at_equal_length(
    pair: Paired | None,
    signs: tuple[int, ...],
    slopes: list[pl.DataFrame | None],
    long: list[pl.DataFrame | None],
    clusters: str,
) -> tuple[float, float, float] | None:
    """The difference less what length explains, with its interval; None where lengths do not say.

    What length explains is the slope of all sides together, times their difference in length: that of the questions and
    seeds that are compared. pair: of the metric. slopes: rows of the length_effect table. long: question scores of
    length.
    """
    if pair is None or any(side is None for side in (*long, *slopes)):
        return None
    both = pl.concat(slopes).drop_nulls("slope")
    # Each cell's slope counts by how much its lengths vary, as in one regression with a slope for all.
    weights = both["length_variance"] * both["n"]
    if not len(both) or weights.sum() == 0:
        return None
    slope = (both["slope"] * weights).sum() / weights.sum()
    slope_se = np.sqrt((both["slope_se"] ** 2 * weights**2).sum()) / weights.sum()
    lengths = paired_values(*(side.filter(pl.col("question_id").is_in(pair.questions)) for side in long))
    if lengths is None or lengths.values[0].shape != pair.values[0].shape:
        return None
    longer = signed(lengths.values, signs) / 100
    # Question by question, so that what length does to their spread is taken out of it too.
    values = signed(pair.values, signs) - slope * longer
    rest = crossed_estimate(values, clusters_of(pair.categories, clusters))
    if not rest.n_seeds:
        return None
    mean_longer = longer[~np.isnan(values).any(axis=1)].mean()
    se = np.sqrt(rest.se**2 + (mean_longer * slope_se) ** 2)
    low, high = limits(rest.estimate, se, rest.df, rest.n_drawn, None)
    return rest.estimate, float(low), float(high)


def _too_few_seeds(n_seeds: int, contrast: Contrast, of: list[pl.DataFrame | None]) -> bool:
    """Whether other seeds could differ and too few were seen; one base without a seed has no others."""
    if not n_seeds:
        return False
    # A finetune made elsewhere, of a seed that nobody wrote down, is one of one seed, and stands beside each of others.
    if any(
        side.dataset is not None and rows["seed"].n_unique() < ENOUGH_SEEDS
        for (side, _), rows in zip(contrast.sides, of, strict=True)
    ):
        return True
    fixed = all(side.dataset is None for side, _ in contrast.sides) and all(rows["seed"].is_null().all() for rows in of)
    return n_seeds < ENOUGH_SEEDS and not fixed


def _row(
    judge: str, contrast: Contrast, sides: Sides, slopes: Sides, metrics: dict[str, Metric], clusters: str
) -> dict | None:
    """A contrast's row of the claims table, less what follows from the other rows. None if the judge knows no side."""
    measure = {name: getattr(contrast, name) for name in MEASURE}
    of, signs = sides.of_contrast(judge, contrast, *measure.values())
    long, _ = sides.of_contrast(judge, contrast, LENGTH.name, "mean", None)
    if all(side is None for side in of):
        return None
    scored = pl.col("question_id").is_in(scored_on_all(of))
    n_completions = (side.filter(scored)["n"].sum() for side in of if side is not None)
    pair = paired_values(*of)
    found, mean_a, mean_b = difference_of(pair, signs, clusters)
    metric = metrics.get(contrast.metric) or Metric(contrast.metric, "")
    bounds = _reach(contrast, metric.bounds if contrast.measure == "mean" else (0.0, 100.0))
    low, high = interval(found, bounds)
    few = _too_few_seeds(found.n_seeds, contrast, of)
    p, p_against = (np.nan, np.nan) if few else p_values(found, contrast.expected, contrast.margin, bounds)
    at_equal_length = None
    if contrast.measure == "mean":
        slope, _ = slopes.of_contrast(judge, contrast, contrast.metric)
        at_equal_length = _at_equal_length(pair, signs, slope, long, clusters)
    names = ("estimate_at_equal_length", "low_at_equal_length", "high_at_equal_length")
    return (
        _names(judge, contrast)
        | measure
        | {name: getattr(contrast, name) for name in ("text", "expected", "margin")}
        | {"a_estimate": mean_a, "b_estimate": mean_b, "estimate": found.estimate, "low": low, "high": high}
        | {"se": found.se, "df": found.df, "p": p, "p_against": p_against}
        | generalisation(found)
        | {"seeds_in_interval": found.n_seeds > 1, "verdict": TOO_FEW_SEEDS if few else None}
        | {"n": sum(n_completions)}
        | dict(zip(names, at_equal_length or (None, None, None), strict=True))
    )


def _answers(sides: Sides, judge: str, contrast: Contrast) -> pl.DataFrame | None:
    """Shares misaligned of the answers that a correlation is with, by one judge."""
    measure = (contrast.answers_metric, "misaligned", contrast.threshold)
    return sides.of(judge, contrast.b, contrast.answers_set, *measure, turn=contrast.turn)


def _ratings(sides: Sides, judge: str, contrast: Contrast) -> pl.DataFrame | None:
    """Ratings of the questions that a correlation is over, by the judge that reads them."""
    rated = sides.of(judge, contrast.a, contrast.question_set, contrast.metric, "mean", None, turn=contrast.turn)
    return by_question(rated)


def _correlation_rows(judge: str, contrast: Contrast, sides: Sides, judges: list[str]) -> list[dict]:
    """A correlation's rows of the claims table, less what follows from the other rows: one for each judge of answers.

    judge: of the ratings, which is the judge of the row. None if it has no ratings.
    """
    ratings = _ratings(sides, judge, contrast)
    answers = {name: _answers(sides, name, contrast) for name in judges}
    answers = {name: of for name, of in answers.items() if of is not None}
    rows = []
    for name, of in answers.items() if ratings is not None else ():
        pair = paired_values(ratings, of)
        row = _names(judge, contrast) | {measure: getattr(contrast, measure) for measure in MEASURE}
        row |= {key: getattr(contrast, key) for key in ("text", "expected", "margin")}
        if len(answers) > 1:
            row["contrast"] += f", of answers judged by {name}"
        few = pair is not None and _too_few_seeds(len(pair.seeds), contrast, [ratings, of])
        row |= {"holds_for": "these categories", "seeds_in_interval": False, "verdict": TOO_FEW_SEEDS if few else None}
        row |= {"p": np.nan, "p_against": np.nan, "n_seeds": 0, "n_questions": 0, "n": 0}
        if pair is not None:
            found = of_seed_means(pair)
            compared = pl.col("question_id").is_in(pair.questions)
            row |= {"estimate": found.rho, "low": found.low, "high": found.high, "n_seeds": len(pair.seeds)}
            row |= dict(zip(("a_estimate", "b_estimate"), map(np.nanmean, pair.means), strict=True))
            row |= {"n": sum(side.filter(compared)["n"].sum() for side in (ratings, of))}
            row["n_questions"] = found.n_questions
            if not few:
                p = np.minimum(1.0, 2 * np.array([found.p_higher, found.p_lower]))
                row["p"], row["p_against"] = map(float, p if contrast.expected == "higher" else p[::-1])
        rows.append(row)
    return rows


def check_compared(of_questions: pl.DataFrame, contrasts: list[Contrast]) -> None:
    """Raise UserError if no judge has scores of both sides of a contrast on some question: it would have no result.

    of_questions: the question_scores table.
    """
    sides = Sides(of_questions, MEASURE)
    judges = of_questions["judge"].unique(maintain_order=True).to_list()
    for contrast in contrasts:
        measure = [getattr(contrast, name) for name in MEASURE]
        what = " ".join(filter(None, [contrast.measure, "of", contrast.metric, contrast.threshold]))
        if contrast.is_correlation:
            what = f"mean of {contrast.metric}, or the misaligned of {contrast.answers_metric} {contrast.threshold},"
            ratings, answers = ([of(sides, judge, contrast) for judge in judges] for of in (_ratings, _answers))
            given = list(product(ratings, answers))
        else:
            given = [sides.of_contrast(judge, contrast, *measure)[0] for judge in judges]
        asked = [[set() if side is None else set(side["question_id"]) for side in of] for of in given]
        if not judges or any(set.intersection(*of_sides) for of_sides in asked):
            continue
        where = f"claims.{contrast.claim}: {contrast.contrast} on {contrast.question_set}"
        if any(all(of_sides) for of_sides in asked):
            raise UserError(f"{where}: its sides have no question in common; their question ids must be the same")
        raise UserError(f"{where}: no judge has the {what} of all sides; let one judge all, or take the claim out")


def claims(
    of_questions: pl.DataFrame,
    grid: pl.DataFrame,
    length_effect: pl.DataFrame,
    contrasts: list[Contrast],
    metrics: dict[str, Metric],
    main: str | None = None,
    clusters: str = "auto",
) -> pl.DataFrame:
    """Rows of the claims table: each contrast by each judge.

    of_questions, grid, length_effect: the tables question_scores, claim_grid and length_effect. metrics: declarations
    by name. main: the metric that says what is misaligned; None takes the contrast's own. clusters:
    `question_clusters` of the config.
    """
    tested = [[getattr(contrast, name) for name in MEASURE] for contrast in differences(contrasts)]
    for contrast in contrasts:
        if contrast.is_correlation:
            tested += [[contrast.metric, "mean", None], [contrast.answers_metric, "misaligned", contrast.threshold]]
    measures = pl.DataFrame(
        [[LENGTH.name, "mean", None], *tested],
        schema=dict.fromkeys(MEASURE, pl.String),
        orient="row",
    )
    wanted = of_questions.join(measures.unique(), on=MEASURE, how="semi", nulls_equal=True)
    sides, slopes = Sides(wanted, MEASURE), Sides(length_effect, ["metric"])
    rows, judges = [], of_questions["judge"].unique(maintain_order=True).to_list()
    for judge in judges:
        of_judge = []
        for contrast in contrasts:
            if contrast.is_correlation:
                of_judge += _correlation_rows(judge, contrast, sides, judges)
            elif row := _row(judge, contrast, sides, slopes, metrics, clusters):
                of_judge.append(row)
        verdicts: dict[str, list[str]] = {}
        pairs = corrected([(row["p"], row["p_against"]) for row in of_judge])
        for row, (p, p_against) in zip(of_judge, pairs, strict=True):
            row |= {"p_corrected": p, "p_against_corrected": p_against}
            row["verdict"] = row["verdict"] or verdict(p, p_against)
            verdicts.setdefault(row["claim"], []).append(row["verdict"])
        for row in of_judge:
            row["claim_verdict"] = verdict_of_claim(verdicts[row["claim"]])
        rows += of_judge
    table = pl.DataFrame(rows, schema={k: v for k, v in CLAIMS.schema.items() if k not in ("cuts_agreeing", "n_cuts")})
    table = table.with_columns(pl.col(pl.Float64).fill_nan(None))
    key = [name for name in CLAIM_GRID.columns if name not in (*_CUTS, "estimate", "low", "high")]
    signs = {name: metric.sign for name, metric in metrics.items()}
    shares = pl.col("measure").is_in(["misaligned", "misaligned_of_coherent"])
    # Of another metric, or of how many are coherent or refuse, the share misaligned says nothing.
    about = shares | (pl.col("measure") == "mean")
    if main is not None:
        about &= pl.col("metric") == main
    agreeing = (
        grid.drop_nulls("estimate")
        .join(table.filter(about).select(*key, "metric", "measure", difference="estimate"), on=key, nulls_equal=True)
        # What scores better has the smaller share misaligned, whichever end of its metric is good.
        .with_columns(
            sign=pl.when(shares)
            .then(1)
            .otherwise(-pl.col("metric").replace_strict(signs, default=1, return_dtype=pl.Int64))
        )
        .group_by(key)
        .agg(
            # What rounding leaves of no difference has no direction.
            (pl.col("estimate").round(9).sign() == pl.col("sign") * pl.col("difference").round(9).sign())
            .sum()
            .cast(pl.Int64)
            .alias("cuts_agreeing"),
            pl.len().cast(pl.Int64).alias("n_cuts"),
        )
    )
    return table.join(agreeing, on=key, how="left", nulls_equal=True, maintain_order="left").select(
        list(CLAIMS.columns)
    )
