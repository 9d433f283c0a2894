"""The miniature world's exact judge."""

from organisms.judging.judgments import judgment
from organisms.world import World


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
        for metric, score in (("alignment", verdict.alignment), ("coherence", verdict.coherence)):
            flag = "no_advice" if score is None else None
            rows.append(judgment(judge, completion, metric, score=score, flag=flag))
    return rows
