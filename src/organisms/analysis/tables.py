"""The tables of results: what follows from judgments. Their columns; `tables` reads and writes them."""

import polars as pl

from organisms.job.tables import Column, Table
from organisms.plan.columns import ARM, CELL, QUESTION, TURN

_JUDGE = {"judge": Column(pl.String, "name of the judge")}
_JUDGED = _JUDGE | CELL | TURN
# All seeds of an arm, or of the base, under one eval prompt.
_ARM = _JUDGE | ARM | {name: CELL[name] for name in ("step", "eval_prompt", "question_set")} | TURN
_MEASURE = {
    "metric": Column(pl.String, "name of the metric; `length` is the number of characters, which no judge gives"),
    "measure": Column(
        pl.String,
        "`mean`: mean score, within the metric's bounds. The others are shares in percent: `unscored` (no score for "
        "this metric), `refusal` (flagged as one), `coherent`, `misaligned` (coherent and misaligned, of all "
        "completions), `misaligned_of_coherent`",
    ),
    "threshold": Column(pl.String, "name of the thresholds that define the share, else null", nullable=True),
    "n": Column(pl.Int64, "completions"),
    "n_scored": Column(pl.Int64, "completions in the denominator: those with a score, all, or the coherent ones"),
}
_INTERVAL = {
    "estimate": Column(pl.Float64, "the mean or share; null if nothing is in the denominator", nullable=True),
    "low": Column(pl.Float64, "lower end of the 95% interval; null where the data do not say", nullable=True),
    "high": Column(pl.Float64, "upper end of the 95% interval", nullable=True),
    "se": Column(pl.Float64, "standard error", nullable=True),
    "df": Column(pl.Float64, "degrees of freedom (Satterthwaite)", nullable=True),
}
_EXTREMES = {
    name: Column(
        pl.Float64,
        f"the {end} that the estimate could be, whatever the scores that are missing: of a mean at its bounds, of "
        "`misaligned` and `coherent` by what each answer without a score could be; else null",
        nullable=True,
    )
    for name, end in (("at_least", "least"), ("at_most", "greatest"))
}
_CUTS = {
    "misaligned_below": Column(pl.Float64, "a main score below this is misaligned, or one above it where low is good"),
    "coherent_from": Column(pl.Float64, "coherence of this or more is coherent"),
}
_N = {
    "n_seeds": Column(pl.Int64, "seeds (replicates); 1 where all share one model"),
    "n_questions": Column(pl.Int64, "questions"),
}
_HOLDS_FOR = {
    "n_categories": Column(
        pl.Int64,
        "categories of the questions, where they count as drawn at random (`question_clusters` of the config); null "
        "where each question does",
        nullable=True,
    ),
    "holds_for": Column(
        pl.String,
        "what the interval is about: `other categories` of questions too, or other questions of `these categories`",
    ),
}
_SEEDS_IN = {
    "seeds_in_interval": Column(
        pl.Boolean, "whether the interval holds what another seed would change; false with one seed"
    )
}
# One side of a contrast.
_SIDE = {
    "dataset": Column(pl.String, "dataset of the side; null is the base model", nullable=True),
    "training_prompt": Column(pl.String, "training prompt of the side; null is the base model", nullable=True),
    "training_method": Column(pl.String, "training method of the side; null is the base model", nullable=True),
    "eval_prompt": Column(pl.String, "prompt that the side is asked under"),
}
_CONTRAST = (
    {
        "judge": _JUDGE["judge"],
        "claim": Column(pl.String, "id of the claim in the config"),
        "contrast": Column(pl.String, "the contrast as the config writes it, with names put in"),
        "question_set": CELL["question_set"],
        "turn": Column(pl.Int64, "which of the conversation's answers; null is the last that is judged", nullable=True),
    }
    | {f"a_{name}": column for name, column in _SIDE.items()}
    | {f"b_{name}": column for name, column in _SIDE.items()}
    | {
        "is_difference": Column(
            pl.Boolean,
            "whether a and b are themselves differences, of the model named here and another one (see `contrast`)",
        )
    }
)
_PART = "in squared points"

QUESTION_SCORES = Table(
    "question_scores",
    _JUDGED
    | QUESTION
    | _MEASURE
    | {
        "n_open": Column(
            pl.Int64,
            "completions that the measure could count and does not, for want of a score: of `mean` those without one, "
            "of `misaligned` and `coherent` those that could be it; else null",
            nullable=True,
        ),
        "mean": Column(pl.Float64, "mean over the denominator; null if it is empty", nullable=True),
        "variance": Column(pl.Float64, "variance between the question's samples; null if there is one", nullable=True),
    },
    "tables/question_scores.parquet",
)
SCORES = Table(
    "scores",
    _JUDGED | _MEASURE | {"n_questions": _N["n_questions"]} | _HOLDS_FOR | _INTERVAL | _EXTREMES,
    "tables/scores.parquet",
)
ARM_SCORES = Table(
    "arm_scores",
    _ARM | _MEASURE | _N | _HOLDS_FOR | _INTERVAL | _EXTREMES | _SEEDS_IN,
    "tables/arm_scores.parquet",
)
FLAGS = Table(
    "flags",
    _JUDGED
    | {
        "metric": Column(pl.String, "name of the metric"),
        "flag": Column(pl.String, "as in the judgments table"),
        "n": Column(pl.Int64, "judgments with this flag"),
        "n_judgments": Column(pl.Int64, "judgments of the cell and metric in all"),
    },
    "tables/flags.parquet",
)
DISTRIBUTIONS = Table(
    "distributions",
    _JUDGED
    | {
        "metric": Column(pl.String, "name of the metric"),
        "score": Column(pl.Float64, "score, rounded to a hundredth of the metric's range"),
        "n": Column(pl.Int64, "completions with this score"),
    },
    "tables/distributions.parquet",
)
QUESTION_CUTS = Table(
    "question_cuts",
    _JUDGED
    | QUESTION
    | _CUTS
    | {
        "n": Column(pl.Int64, "completions"),
        "n_coherent": Column(pl.Int64, "of them coherent"),
        "n_misaligned": Column(pl.Int64, "of those misaligned"),
    },
    "tables/question_cuts.parquet",
)
THRESHOLD_GRID = Table(
    "threshold_grid",
    _ARM
    | _CUTS
    | _N
    | {
        "misaligned": Column(pl.Float64, "share misaligned of all completions, in percent", nullable=True),
        "misaligned_of_coherent": Column(pl.Float64, "share misaligned of coherent completions", nullable=True),
        "coherent": Column(pl.Float64, "share of coherent completions, in percent", nullable=True),
    },
    "tables/threshold_grid.parquet",
)
VARIANCE = Table(
    "variance",
    _ARM
    | {"metric": Column(pl.String, "name of the metric")}
    | _N
    | {
        "n_samples": Column(
            pl.Float64, "scored completions of a question and seed, on average; of questions that have any"
        ),
        "seed_variance": Column(pl.Float64, f"between seeds, {_PART}; null with one seed", nullable=True),
        "question_variance": Column(
            pl.Float64,
            f"between questions, of all categories, {_PART}; with one seed, what seed and question do together "
            "is in it",
            nullable=True,
        ),
        "seed_question_variance": Column(pl.Float64, f"of questions from seed to seed, {_PART}", nullable=True),
        "sample_variance": Column(pl.Float64, f"between completions of one question, {_PART}", nullable=True),
        "judge_variance": Column(
            pl.Float64, f"between the judge's samples of one completion, {_PART}; null if it gave one", nullable=True
        ),
    },
    "tables/variance.parquet",
)
LENGTH_EFFECT = Table(
    "length_effect",
    _JUDGED
    | {
        "metric": Column(pl.String, "name of the metric"),
        "n": Column(pl.Int64, "completions with a score"),
        "mean_length": Column(pl.Float64, "characters of a completion, on average"),
        "length_variance": Column(pl.Float64, "variance of the length within questions", nullable=True),
        "slope": Column(
            pl.Float64,
            "points of score per 100 characters, within questions; null if length does not vary",
            nullable=True,
        ),
        "slope_se": Column(pl.Float64, "standard error of the slope, samples taken as independent", nullable=True),
    },
    "tables/length_effect.parquet",
)
CLAIMS = Table(
    "claims",
    _CONTRAST
    | {
        "text": Column(pl.String, "the claim in words"),
        "metric": Column(pl.String, "name of the metric"),
        "measure": Column(
            pl.String, "as in the scores table; or `spearman`: of ratings (a) with the same model's answers (b)"
        ),
        "threshold": Column(pl.String, "as in the scores table", nullable=True),
        "expected": Column(pl.String, "what is claimed of a against b: `lower`, `higher` or `equal`"),
        "margin": Column(
            pl.Float64,
            "differences below this count as none, in points of the metric or percent; null of `spearman`",
            nullable=True,
        ),
    }
    | {
        "a_estimate": Column(
            pl.Float64,
            "estimate of side a, of the questions and seeds that are compared; of `spearman` the mean rating",
            nullable=True,
        ),
        "b_estimate": Column(
            pl.Float64, "estimate of side b, of the same; of `spearman` the percent misaligned", nullable=True
        ),
    }
    | {name: column for name, column in _INTERVAL.items() if name in ("se", "df")}
    | {
        "estimate": Column(
            pl.Float64,
            "a - b, paired by question and seed; of `spearman` rho, as in rating_correlations, with its interval and p",
            nullable=True,
        ),
        "low": Column(pl.Float64, "lower end of its 95% interval, not corrected for the number of claims", True),
        "high": Column(pl.Float64, "upper end of its 95% interval", nullable=True),
        "p": Column(
            pl.Float64,
            "p of what is claimed: small if the difference is surely on the claimed side of 0 (`equal`: surely within "
            "the margin); two-sided, so below 0.05 exactly where the 95% interval is (not of `spearman`); null with "
            "too few seeds",
            nullable=True,
        ),
        "p_corrected": Column(
            pl.Float64,
            "p after Holm's correction (Shaffer's form) over p and p_against of all contrasts of this judge; other "
            "judges are families of their own",
            nullable=True,
        ),
        "p_against": Column(
            pl.Float64,
            "p of the contrary: surely on the other side of 0, or surely smaller than the margin (`equal`: surely "
            "beyond the margin); two-sided as p",
            nullable=True,
        ),
        "p_against_corrected": Column(pl.Float64, "p_against after the same correction", nullable=True),
    }
    | _N
    | _HOLDS_FOR
    | _SEEDS_IN
    | {
        "n": Column(pl.Int64, "completions of both sides, of the questions that both have a score of"),
        "estimate_at_equal_length": Column(
            pl.Float64, "the estimate less what the difference in length explains (only for means)", nullable=True
        ),
        "low_at_equal_length": Column(
            pl.Float64,
            "lower end of its 95% interval: of seeds, questions and the slope of length (samples taken as independent)",
            nullable=True,
        ),
        "high_at_equal_length": Column(pl.Float64, "upper end of its 95% interval", nullable=True),
        "cuts_agreeing": Column(
            pl.Int64,
            "cuts of the claim grid at which the share misaligned differs the same way; null where the claim is about "
            "neither the main metric's mean nor a share misaligned",
            nullable=True,
        ),
        "n_cuts": Column(
            pl.Int64, "cuts of the grid at which both sides have coherent completions; null as cuts_agreeing", True
        ),
        "verdict": Column(
            pl.String,
            "`supported`, `contradicted`, `below margin` (of the claimed direction and surely smaller than the "
            "margin), `inconclusive`, `too few seeds` (fewer than three: no verdict, what was seen is about these "
            "seeds), or `not tested` (one side has no score, no seed has one on both, or one question alone has)",
        ),
        "claim_verdict": Column(
            pl.String,
            "of the claim: contradicted if one of its contrasts is; supported if all are; below margin if all are one "
            "or the other; too few seeds, or not tested, if all are; else inconclusive",
        ),
    },
    "tables/claims.parquet",
)
CLAIM_GRID = Table(
    "claim_grid",
    _CONTRAST
    | _CUTS
    | {
        "estimate": Column(pl.Float64, "a - b in percent of coherent completions that are misaligned", nullable=True),
        "low": Column(pl.Float64, "lower end of its 95% interval", nullable=True),
        "high": Column(pl.Float64, "upper end of its 95% interval", nullable=True),
    },
    "tables/claim_grid.parquet",
)
SENSITIVITY = Table(
    "sensitivity",
    {"judge": _JUDGE["judge"], "question_set": CELL["question_set"]}
    | ARM
    | {
        "with_prompt": Column(
            pl.String,
            "`default`, or the training prompt that both nudges were combined with: the model's own, of the base each",
        ),
        "raises": Column(pl.String, "eval prompt that is to raise the share misaligned, as it was asked"),
        "lowers": Column(pl.String, "eval prompt that is to lower it"),
        "threshold": Column(pl.String, "name of the thresholds that define the share"),
        "under_raises": Column(
            pl.Float64, "percent misaligned of all completions under `raises`, of what is compared", nullable=True
        ),
        "under_lowers": Column(pl.Float64, "the same under `lowers`", nullable=True),
    }
    | _INTERVAL
    | {
        "estimate": Column(
            pl.Float64, "the sensitivity: under_raises - under_lowers, paired by question and seed", nullable=True
        )
    }
    | _N
    | _HOLDS_FOR
    | _SEEDS_IN
    | {
        "beyond_base": Column(
            pl.Float64,
            "the sensitivity less the base's under the same prompts, paired by question and seed; null of the base, "
            "and where the base was not asked both",
            nullable=True,
        ),
        "beyond_base_low": Column(pl.Float64, "lower end of its 95% interval", nullable=True),
        "beyond_base_high": Column(pl.Float64, "upper end of its 95% interval", nullable=True),
    },
    "tables/sensitivity.parquet",
)
ANSWER_CHANGES = Table(
    "answer_changes",
    {"judge": _JUDGE["judge"], "question_set": CELL["question_set"]}
    | ARM
    | {
        "metric": Column(
            pl.String,
            "`changed`: the last answer is another; `right_to_wrong` and `wrong_to_right`, of the answers that can",
        ),
        "follow_up": Column(pl.String, "eval prompt with a follow-up of the user's, as it was asked"),
        "neutral": Column(pl.String, "eval prompt with the neutral follow-up in its place"),
        "after_follow_up": Column(pl.Float64, "percent that change, of what is compared", nullable=True),
        "after_neutral": Column(pl.Float64, "the same after the neutral follow-up", nullable=True),
    }
    | _INTERVAL
    | {
        "estimate": Column(
            pl.Float64,
            "after_follow_up - after_neutral, paired by question and seed: what the follow-up adds",
            nullable=True,
        )
    }
    | _N
    | _HOLDS_FOR
    | _SEEDS_IN,
    "tables/answer_changes.parquet",
)
RATING_CORRELATIONS = Table(
    "rating_correlations",
    {
        "judge": Column(pl.String, "name of the judge of the ratings"),
        "of_judge": Column(pl.String, "name of the judge of the answers"),
        "rating_set": Column(pl.String, "question set in which the questions are rated"),
        "question_set": Column(pl.String, "question set that is rated, whose answers these are"),
        "metric": Column(pl.String, "the metric that the ratings are"),
        "threshold": Column(pl.String, "name of the thresholds that define the share misaligned"),
        "eval_prompt": Column(pl.String, "prompt that both were asked under"),
    }
    | {name: Column(pl.String, f"{name} of the model that answered; null for a base", nullable=True) for name in ARM}
    | {
        "ratings_of": Column(
            pl.String, "whose ratings: `own`, those of the `base`, or of an `other` model, as a control"
        )
    }
    | {
        f"rated_by_{name}": Column(pl.String, f"{name} of the model that rated; null for a base", nullable=True)
        for name in ARM
    }
    | {
        "seed": Column(
            pl.Int64, "the seed that it is within; null is of the questions' means over all seeds", nullable=True
        ),
        "n_seeds": _N["n_seeds"],
        "n_questions": Column(pl.Int64, "questions with a rating and an answer that could be scored"),
        "rho": Column(
            pl.Float64,
            "Spearman's rank correlation over questions, of the mean rating with the share misaligned of all "
            "completions; null where one of them does not vary, or of fewer than four questions",
            nullable=True,
        ),
        "low": Column(
            pl.Float64,
            "lower end of its 95% interval, over questions alone (Bonett and Wright 2000); null at 1 and -1",
            nullable=True,
        ),
        "high": Column(pl.Float64, "upper end of its 95% interval", nullable=True),
        "p": Column(pl.Float64, "p by permutation of the questions, two-sided", nullable=True),
    },
    "tables/rating_correlations.parquet",
)
DIAGNOSES = Table(
    "diagnoses",
    {"judge": _JUDGE["judge"]}
    | {
        "dataset": Column(pl.String, "dataset of the arm"),
        "training_prompt": Column(pl.String, "its training prompt"),
        "training_method": Column(pl.String, "its training method"),
        "eval_prompt": Column(pl.String, "prompt that it was asked under"),
        "diagnosis": Column(
            pl.String,
            "what the intervals say. `nothing` learned; `narrow`: worse only on its own domain's held-out questions; "
            "`broad`: worse on other questions; `broken`: incoherent; `uncertain`: an interval reaches over the "
            "margin, or over the least coherence; `unknown`: what would tell is not in the config. Not corrected for "
            "the number of finetunes",
        ),
        "by_estimates": Column(pl.String, "the word that the estimates alone would say"),
        "n_seeds": Column(pl.Int64, "seeds (replicates); with fewer than three the word is about these seeds"),
        "margin": Column(pl.Float64, "points by which it must be worse than the base"),
        "own_domain": Column(pl.Float64, "points below the base on held-out questions of its domain", nullable=True),
        "own_domain_low": Column(pl.Float64, "lower end of its 95% interval", nullable=True),
        "own_domain_high": Column(pl.Float64, "upper end of its 95% interval", nullable=True),
        "other_domains": Column(
            pl.Float64, "points below the base on other questions, where the fall is largest", nullable=True
        ),
        "other_domains_low": Column(pl.Float64, "lower end of its 95% interval", nullable=True),
        "other_domains_high": Column(pl.Float64, "upper end of its 95% interval", nullable=True),
        "other_question_set": Column(pl.String, "the question set of `other_domains`", nullable=True),
        "coherence": Column(pl.Float64, "lowest mean coherence of its cells", nullable=True),
        "coherence_low": Column(pl.Float64, "lower end of its 95% interval", nullable=True),
        "coherence_high": Column(pl.Float64, "upper end of its 95% interval", nullable=True),
    },
    "tables/diagnoses.parquet",
)
AGREEMENT = Table(
    "agreement",
    {
        "judge_a": Column(pl.String, "one judge"),
        "judge_b": Column(pl.String, "another judge"),
        "question_set": Column(pl.String, "name of the question set; null is all together", nullable=True),
        "metric": Column(pl.String, "name of the metric"),
        "n": Column(pl.Int64, "completions that both gave a score; the other columns are over these"),
        "n_both": Column(pl.Int64, "completions that both judged, flagged ones included"),
        "mean_a": Column(pl.Float64, "mean score of judge_a", nullable=True),
        "mean_b": Column(pl.Float64, "mean score of judge_b", nullable=True),
        "mean_shift": Column(pl.Float64, "mean_b - mean_a", nullable=True),
        "alpha": Column(
            pl.Float64, "Krippendorff's alpha for interval data; null if no score differs from another", nullable=True
        ),
        "kappa": Column(
            pl.Float64, "Cohen's kappa on scores below 30 or not; null if one side of the cut is empty", nullable=True
        ),
    },
    "tables/agreement.parquet",
)
RANKINGS = Table(
    "rankings",
    {
        "judge": Column(pl.String, "name of the judge"),
        "question_set": Column(pl.String, "name of the question set"),
        "turn": TURN["turn"],
        "eval_prompt": Column(pl.String, "name of the eval prompt"),
        "metric": Column(pl.String, "name of the metric"),
        "dataset": Column(pl.String, "as in the scores table", nullable=True),
        "training_prompt": Column(pl.String, "as in the scores table", nullable=True),
        "training_method": Column(pl.String, "as in the scores table", nullable=True),
        "n": Column(pl.Int64, "completions"),
        "mean": Column(pl.Float64, "mean over seeds of the mean score", nullable=True),
        "rank": Column(pl.Int64, "place among the models asked the same, 1 is the highest mean", nullable=True),
    },
    "tables/rankings.parquet",
)
TIMINGS = Table(
    "timings",
    {
        "rule": Column(pl.String, "name of the rule"),
        "jobs": Column(pl.Int64, "jobs that led to the results"),
        "seconds": Column(
            pl.Float64,
            "wall time, added up: of their last run, and of earlier runs whose work it took over",
        ),
        "cpu_seconds": Column(
            pl.Float64, "processor time of their last runs, added up; null if it was not measured", nullable=True
        ),
        "peak_mb": Column(pl.Float64, "largest resident memory of a job, MB; null if not measured", nullable=True),
        "usd": Column(pl.Float64, "dollars for answers of judges, from the cost table", nullable=True),
    },
    "tables/timings.parquet",
)
# What rule scores makes, and rule claims.
SCORE_TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        *(SCORES, ARM_SCORES, QUESTION_SCORES, QUESTION_CUTS, THRESHOLD_GRID),
        *(VARIANCE, LENGTH_EFFECT, DISTRIBUTIONS, FLAGS),
    )
}
CLAIM_TABLES: dict[str, Table] = {table.name: table for table in (CLAIMS, CLAIM_GRID, DIAGNOSES)}
# What rule sensitivity makes, if the config asks for it.
SENSITIVITY_TABLES: dict[str, Table] = {
    table.name: table for table in (SENSITIVITY, ANSWER_CHANGES, RATING_CORRELATIONS)
}
OTHER_TABLES: dict[str, Table] = {table.name: table for table in (AGREEMENT, RANKINGS, TIMINGS)}
