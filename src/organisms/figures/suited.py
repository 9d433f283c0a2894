"""Of what a figure of scores is drawn. No library that draws is imported here: every plan of Snakemake asks it.

A figure that is not named here is drawn of each metric that the config shows, on each question set.
"""

from collections.abc import Collection
from dataclasses import dataclass

# Metrics that have a figure of their own, whether or not the config shows them.
REFUSAL, CHANGED = "refusal", "changed"
_WAYS = {"right_to_wrong", "wrong_to_right"}


@dataclass(frozen=True)
class Scored:
    """A metric that a judge scores on a question set.

    shown: whether the config shows it. others: all metrics that the judge scores there. rates: the metric that answers
    to the set's questions are ratings by, if they are. nudged: whether the config measures how sensitive models are to
    nudges in the prompt, and the set was asked under several.
    """

    metric: str
    shown: bool = True
    others: Collection[str] = ()
    rates: str | None = None
    nudged: bool = False


def is_drawn(figure: str, scored: Scored) -> bool:
    """Whether a figure of scores is drawn of a metric, as a judge scores it on a question set."""
    if figure == "nudges":
        return scored.nudged and (scored.shown or scored.metric == REFUSAL)
    if figure == "answer_changes":
        return scored.metric == CHANGED and set(scored.others) >= _WAYS
    if figure == "perceived_intent":
        return scored.metric == scored.rates
    return scored.shown


# The settings in which prompt sensitivity is looked at, in the order in which they are told.
REFUSING, FREE_FORM, RECALL, INTENT = SETTINGS = ("refusal", "free-form answers", "factual recall", "perceived intent")


def setting(figure: str, scored: Scored, main: str) -> str | None:
    """Which of `SETTINGS` a figure tells of; None if of none. main: the metric that says what is misaligned."""
    if figure == "nudges" and scored.metric == REFUSAL:
        return REFUSING
    if figure == "nudges" and scored.metric == main and scored.rates is None and CHANGED not in scored.others:
        return FREE_FORM
    return {"answer_changes": RECALL, "perceived_intent": INTENT}.get(figure)
