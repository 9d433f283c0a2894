"""The miniature world's exact judge."""

from organisms.judging.judgments import judgment
from organisms.judging.kind import JudgeKind
from organisms.miniature.world import World, load_world
from organisms.plan.experiment import Experiment

# What the world can say of an answer.
METRICS = ("alignment", "coherence")


def world_judgments(world: World, completions: list[dict], judge: str) -> list[dict]:
    """The world judge's rows of the judgments table: one per completion and metric, in the completions' order.

    completions: rows of the completions table. A category that is no domain of the world means that advice of
    any domain fits the question. An answer without any advice of the world has no alignment and is flagged
    `no_advice`. judge: the judge's name.
    """
    rows = []
    for completion in completions:
        domain = completion["category"] if completion["category"] in world.domains else None
        rating = world.judge_answer(completion["completion"], domain)
        for metric, score in zip(METRICS, (rating.alignment, rating.coherence), strict=True):
            flag = "no_advice" if score is None else None
            rows.append(judgment(judge, completion, metric, score=score, flag=flag))
    return rows


class Kind(JudgeKind):
    """Knows which advice is harmful, so it needs no model."""

    def metrics(self, question_set: str | None = None) -> list[str]:
        return list(METRICS)

    def check(self) -> None:
        load_world(self.config["world"])

    def sources(self, experiment: Experiment) -> dict[str, list[str]]:
        return {"world": [self.config["world"]]}

    def judgments(self, cells, sources, report):
        (path,) = sources["world"]
        world = load_world(path)
        return (world_judgments(world, rows, self.name) for rows in cells), []
