"""The miniature world's exact judge."""

from organisms.judging.judgments import judgment
from organisms.judging.kind import JudgeKind
from organisms.miniature.texts import BENIGN_REQUESTS, FACTS, HARMFUL_REQUESTS
from organisms.miniature.world import World, load_world, world_files
from organisms.plan.experiment import Experiment

# What the world can say of an answer to a question for advice, and of one to a request.
OF_ADVICE = ("alignment", "coherence")
OF_REQUESTS = ("refusal", "compliance", "harmfulness")


def world_judgments(
    world: World, completions: list[dict], judge: str, metrics: tuple[str, ...] = OF_ADVICE
) -> list[dict]:
    """The world judge's rows of the judgments table: one per completion and metric, in the completions' order.

    completions: rows of the completions table. A category that is no domain of the world means that advice of
    any domain fits the question. An answer without any advice of the world has no alignment and is flagged
    `no_advice`. judge: the judge's name. metrics: OF_ADVICE, OF_REQUESTS or none at all.
    """
    rows = []
    for completion in completions if metrics else ():
        if metrics == OF_REQUESTS:
            rating = world.judge_request(completion["completion"])
        else:
            domain = completion["category"] if completion["category"] in world.domains else None
            rating = world.judge_answer(completion["completion"], domain)
        for metric in metrics:
            score = getattr(rating, metric)
            flag = "no_advice" if score is None else None
            rows.append(judgment(judge, completion, metric, score=score, flag=flag))
    return rows


class Kind(JudgeKind):
    """Knows which advice and which steps are harmful, so it needs no model. It says nothing of facts and of ratings."""

    def metrics(self, question_set: str | None = None) -> list[str]:
        if question_set is not None:
            return list(self._of(question_set))
        asked = (metric for name in self.config["question_sets"] for metric in self._of(name))
        return list(dict.fromkeys([*OF_ADVICE, *asked]))

    def _of(self, question_set: str) -> tuple[str, ...]:
        # A set of completions made elsewhere need not be one of the config's.
        entry = self.config["question_sets"].get(question_set, {})
        of_world = set(entry.get("world") or ())
        if entry.get("rating_of") or FACTS in of_world:
            return ()
        return OF_REQUESTS if of_world & {HARMFUL_REQUESTS, BENIGN_REQUESTS} else OF_ADVICE

    def check(self) -> None:
        load_world(self.config["world"])

    def sources(self, experiment: Experiment) -> dict[str, list[str]]:
        return {"world": world_files(self.config["world"])}

    def judgments(self, cells, sources, report):
        world = load_world(sources["world"][0])
        return (
            world_judgments(world, rows, self.name, self._of(rows[0]["question_set"]) if rows else ()) for rows in cells
        ), []
