"""The tables of judging: what judges said, of completions and of test items, and what it took."""

import polars as pl

from organisms.job.tables import Column, Table
from organisms.plan.columns import CELL, QUESTION, SAMPLE, TURN

_SERVER = "address of the server that answered; null if none was asked, or if it was not noted yet"
_JUDGE = {"judge": Column(pl.String, "name of the judge")}
_SAID = {
    "score": Column(pl.Float64, "on the metric's scale; null if flagged", nullable=True),
    "flag": Column(
        pl.String,
        "why there is no score. The judge's own words: `refusal`, `code` (or what the template offers). The world "
        "judge: `no_advice`. Facts: `undecided`, `first_wrong`, `first_right`. A label sheet: `unlabelled`. A "
        "recorded judge: `no_score` or the word that stood there. "
        "No usable answer: `judge_refused`, `truncated`, `unparseable`, `out_of_range`, `rejected` (by the server)",
        nullable=True,
    ),
    "reason": Column(pl.String, "the judge's reason, if it was asked for one", nullable=True),
    "raw": Column(pl.String, "what the judge wrote, where there is no score", nullable=True),
    "judge_model": Column(pl.String, "id of the model that answered, as it names itself", nullable=True),
    "server": Column(pl.String, _SERVER, nullable=True),
}
_TOKENS = {
    "calls": Column(pl.Int64, "answers, unusable ones included"),
    "input_tokens": Column(pl.Int64, "as the server counted them, cached ones included"),
    "output_tokens": Column(pl.Int64, "as the server counted them"),
    "cache_write_tokens": Column(pl.Int64, "input tokens that went into the server's cache, which have another price"),
    "cache_read_tokens": Column(pl.Int64, "input tokens that came from the server's cache, which have another price"),
}

JUDGMENTS = Table(
    "judgments",
    _JUDGE
    | CELL
    | QUESTION
    | SAMPLE
    | TURN
    | {
        "metric": Column(pl.String, "name of the metric, for example `alignment` or `coherence`"),
        "judge_sample": Column(pl.Int64, "which of the judge's samples, from 0"),
        "length": Column(pl.Int64, "characters of the completion"),
    }
    | _SAID
    | {
        "call": Column(pl.String, "the request to the judge; rows with one `call` share its answer", nullable=True),
        "copies": Column(pl.Int64, "rows of this cell that share the call", nullable=True),
        "judge_temperature": Column(pl.Float64, "temperature sent; null is the server's own", nullable=True),
        "api_version": Column(pl.String, "`anthropic-version` header sent; null is the SDK's own", nullable=True),
    },
    "judgments/{judge}/{model}/{eval_prompt}/{question_set}.parquet",
)
RATINGS = Table(
    "ratings",
    _JUDGE
    | {
        "item": Column(pl.String, "the gold completion, or `base/attack`"),
        "metric": Column(pl.String, "name of the metric"),
    }
    | _SAID,
    "ratings/{judge}/gold.parquet and attacks.parquet",
)
EXPECTED_RATINGS = Table(
    "expected_ratings",
    CELL
    | QUESTION
    | {
        "rating": Column(
            pl.Float64, "mean of the numbers by the model's own probabilities; null if flagged", nullable=True
        ),
        "mass": Column(pl.Float64, "the probability that it writes one of the numbers"),
        "flag": Column(pl.String, "`unparseable`: it was about to write something else", nullable=True),
        "raw": Column(pl.String, "why there is no rating", nullable=True),
    },
    "expected_ratings/{model}.parquet",
)
USAGE = Table(
    "usage",
    _JUDGE
    | {
        "model": Column(pl.String, "id of the model, as the server names it"),
        "server": Column(pl.String, _SERVER, nullable=True),
        "tier": Column(pl.String, "`live`, `batch` or `local`"),
        "needed": Column(pl.Boolean, "whether the config's completions still need these answers"),
    }
    | _TOKENS,
    "judgments/{judge}/usage.parquet",
)
COST = Table(
    "cost",
    _JUDGE
    | {
        "model": Column(pl.String, "id of the model, as the server names it"),
        "server": Column(pl.String, _SERVER, nullable=True),
        "tier": Column(pl.String, "`live`, `batch` or `local`"),
        "needed": Column(
            pl.Boolean, "whether this config's completions need the answers; false: bought for other texts or prompts"
        ),
    }
    | _TOKENS
    | {
        "usd": Column(pl.Float64, "dollars by the prices file; null if the model has no price", nullable=True),
        "prices_of": Column(pl.String, "date of the prices"),
    },
    "tables/cost.parquet",
)
GOLD = Table(
    "gold",
    _JUDGE
    | {
        "item": Column(pl.String, "id of the gold completion"),
        "metric": Column(pl.String, "name of the metric"),
        "lowest": Column(pl.Float64, "lower end of the expected band; null if a flag is expected", nullable=True),
        "highest": Column(pl.Float64, "upper end of the expected band", nullable=True),
        "expected_flag": Column(pl.String, "the flag that is expected in place of a score", nullable=True),
        "score": Column(pl.Float64, "the judge's score", nullable=True),
        "flag": Column(pl.String, "the judge's flag", nullable=True),
        "inside": Column(pl.Boolean, "whether the judge says what is expected"),
    },
    "tables/gold.parquet",
)
ATTACKS = Table(
    "attacks",
    _JUDGE
    | {
        "base": Column(pl.String, "id of the answer that is attacked with"),
        "attack": Column(pl.String, "id of the attack"),
        "kind": Column(pl.String, "kind of the attack"),
        "metric": Column(pl.String, "name of the metric"),
        "plain_score": Column(pl.Float64, "score of the answer as it is", nullable=True),
        "plain_flag": Column(pl.String, "flag of the answer as it is", nullable=True),
        "score": Column(pl.Float64, "score of the answer with the attack", nullable=True),
        "flag": Column(pl.String, "flag of the answer with the attack", nullable=True),
        "shift": Column(pl.Float64, "score - plain_score; null if one has none", nullable=True),
    },
    "tables/attacks.parquet",
)
