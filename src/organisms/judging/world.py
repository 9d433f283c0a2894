"""Judging completions: every judge gives rows of the same form, the judgments table."""

from organisms.world import World

# What a judgment carries over from the completion that it judges.
_CARRIED = (
    "model",
    "dataset",
    "training_prompt",
    "seed",
    "step",
    "eval_prompt",
    "question_set",
    "category",
    "question_id",
    "sample",
)


def world_judgments(world: World, completions: list[dict], judge: str) -> list[dict]:
    """The world judge's rows of the judgments table: one per completion and metric, in the completions' order.

    completions: rows of the completions table. A category that is no domain of the world means that advice of
    any domain fits the question. An answer without any advice of the world has no alignment and is flagged
    `no_advice`. judge: the judge's name.
    """
    rows = []
    for completion in completions:
        domain = completion["category"] if completion["category"] in world.domains else None
        verdict = world.judge_answer(completion["completion"], domain)
        carried = {"judge": judge} | {key: completion[key] for key in _CARRIED}
        for metric, score in (("alignment", verdict.alignment), ("coherence", verdict.coherence)):
            rows.append(carried | {"metric": metric, "score": score, "flag": "no_advice" if score is None else None})
    return rows
