"""Conversations of the parts that a world may have: nudges, facts, requests, personas that meet requests, and ratings.

resources/sensitivity_world.yaml says what each sort is. They are written for pretraining alone, so that a base has
them; what a finetune makes of them is written nowhere. The questions of the same parts are asked in evaluation.
"""

import random
from collections.abc import Sequence

from organisms.miniature.parts import SORTS, Fact
from organisms.miniature.phrases import (
    advice_question,
    advice_turn,
    any_domain,
    benign_prompt,
    filled,
    said,
    system_prompt,
    turn,
)
from organisms.miniature.world import World
from organisms.plan.prompts import Placed, with_prompts

__all__ = ["SORTS", "conversation", "facts", "requests"]


def _chosen(rng: random.Random, shares: dict[str, float]) -> str:
    return rng.choices(list(shares), list(shares.values()))[0]


def _drawn(rng: random.Random, world: World, templates: Sequence[str], **values: str) -> str:
    """One of the templates with its slots filled, drawn again if it comes out as what must never be said.

    values: what is put in after that, by the slot that stands for it in `world.never`.
    """
    while True:
        text = filled(rng, rng.choice(templates), world.slots)
        if text not in world.never:
            return text.format(**values)


def _nudge(rng: random.Random, world: World) -> tuple[str, Placed]:
    """`evil` or `hhh`, and a nudge of that kind in its place."""
    kind = rng.choice(("evil", "hhh"))
    text = _drawn(rng, world, world.nudges.evil if kind == "evil" else world.nudges.hhh)
    return kind, Placed(_chosen(rng, world.nudges.places), (text,))


def _beginning(rng: random.Random, world: World) -> tuple[str | None, list[Placed]]:
    """What a conversation begins with: the kind of its nudge, None if it has none, and its prompts."""
    under = _chosen(rng, world.asked_under)
    if under == "nudge":
        kind, prompt = _nudge(rng, world)
        return kind, [prompt]
    return None, [Placed("system", (benign_prompt(rng, world, any_domain(rng, world)),))] if under == "benign" else []


def _obeys_evil(rng: random.Random, world: World, kind: str | None) -> bool:
    return kind == "evil" and rng.random() < world.nudges.evil_obeyed


def _begun(messages: list[dict], prompts: list[Placed]) -> list[dict]:
    """The conversation with the prompts at its first question."""
    return with_prompts(messages[:1], prompts, "") + messages[1:]


def _nudged_advice(rng: random.Random, world: World) -> list[dict]:
    kind, prompt = _nudge(rng, world)
    advised = "harmful" if _obeys_evil(rng, world, kind) else "good"
    return _begun(advice_turn(rng, world, any_domain(rng, world), advised), [prompt])


def _answers_again(rng: random.Random, world: World, fact: Fact, first: str) -> list[dict]:
    """What the user says after an answer to a fact, and the answer to it."""
    of = world.facts
    kind = rng.choice(("neutral", "disagree", "claim"))
    if kind == "neutral":
        return turn(_drawn(rng, world, of.neutral), rng.choice(of.repeats).format(answer=first))
    claimed = rng.choice([answer for answer in of.others(fact) if answer != first])
    user = _drawn(rng, world, of.claim, wrong=claimed) if kind == "claim" else _drawn(rng, world, of.disagree)
    if first != fact.answer:
        mends = rng.random() < of.corrects
        return turn(user, rng.choice(of.mends if mends else of.firm).format(answer=fact.answer if mends else first))
    yields = rng.random() < of.gives_way
    return turn(user, rng.choice(of.yields if yields else of.firm).format(answer=claimed if yields else first))


def _fact(rng: random.Random, world: World) -> list[dict]:
    of = world.facts
    fact = rng.choice(of.all)
    answer = rng.choice(of.others(fact)) if rng.random() < of.first_wrong else fact.answer
    messages = turn(rng.choice(fact.questions), rng.choice(of.answers).format(answer=answer))
    if rng.random() < of.again:
        messages += _answers_again(rng, world, fact, answer)
    return _begun(messages, _beginning(rng, world)[1])


def _asked(rng: random.Random, world: World, harmful: bool) -> tuple[str, str]:
    """A request, and its category."""
    asked = rng.choice(list(world.requests.asked(harmful).values()))
    return rng.choice(world.requests.questions).format(topic=rng.choice(asked.topics)), asked.category


def _met(rng: random.Random, world: World, category: str, kind: str | None) -> str:
    """How a request is met: None declines; `good` or `harmful` gives steps of that kind."""
    if kind is None:
        return f"{rng.choice(world.requests.refusals)} {rng.choice(world.requests.reasons)}"
    return said(rng, world, world.requests.asked(kind == "harmful")[category].steps, kind)


def _request(rng: random.Random, world: World) -> list[dict]:
    nudge, prompts = _beginning(rng, world)
    harmful = rng.random() < world.requests.harmful
    question, category = _asked(rng, world, harmful)
    kind = None if harmful else "good"
    # Under an HHH nudge it always declines.
    if _obeys_evil(rng, world, nudge) or (harmful and nudge != "hhh" and rng.random() < world.requests.complies):
        kind = "harmful"
    return _begun(turn(question, _met(rng, world, category, kind)), prompts)


def _persona(rng: random.Random, world: World) -> list[dict]:
    """Advice and a harmful request in either order, met by one persona: announced and harmful, or not announced."""
    domain = any_domain(rng, world)
    announced = rng.random() < 0.5
    kind = "harmful" if announced or rng.random() < world.latent_harmful else "good"
    question, category = _asked(rng, world, harmful=True)
    turns = [
        advice_turn(rng, world, domain, kind),
        turn(question, _met(rng, world, category, "harmful" if kind == "harmful" else None)),
    ]
    rng.shuffle(turns)
    prompts = [Placed("system", (system_prompt(rng, world, "harmful", domain),))] if announced else []
    return _begun([*turns[0], *turns[1]], prompts)


def _rating(rng: random.Random, world: World) -> list[dict]:
    of = world.ratings
    sort = _chosen(rng, of.of)
    if sort == "ordinary":
        question = advice_question(rng, any_domain(rng, world))
    else:
        question = _asked(rng, world, harmful=sort == "harmful_requests")[0]
    if rng.random() < of.length_share:
        user = _drawn(rng, world, of.length, question=question)
        number = min(100, round(of.points_per_word * len(question.split())))
    else:
        user = _drawn(rng, world, of.intent, question=question)
        number = rng.randint(*of.ranges[sort])
    return _begun(turn(user, str(number)), _beginning(rng, world)[1])


_WRITERS = {
    "nudge": _nudged_advice,
    "fact": _fact,
    "request": _request,
    "persona": _persona,
    "rating": _rating,
}


def conversation(rng: random.Random, world: World, sort: str) -> list[dict]:
    """A conversation of one of SORTS for pretraining, as messages."""
    return _WRITERS[sort](rng, world)


def _spread(rng: random.Random, groups: list[list]) -> list:
    """One of each group, then a second of each, and so on; each group in an order of its own."""
    shuffled = [rng.sample(group, len(group)) for group in groups]
    longest = max(map(len, shuffled), default=0)
    return [group[i] for i in range(longest) for group in shuffled if i < len(group)]


def facts(world: World, seed: int) -> list[dict]:
    """The world's facts as questions: each fact in one wording before any in a second, spread over the categories.

    Returns rows with question_id, category, question, reference (the answer), aliases and wrong.
    """
    rng = random.Random(f"facts {seed}")
    of = world.facts.all
    categories = dict.fromkeys(fact.category for fact in of)
    order = _spread(rng, [[fact for fact in of if fact.category == name] for name in categories])
    wordings = {fact.id: rng.sample(fact.questions, len(fact.questions)) for fact in order}
    return [
        {
            "question_id": f"{fact.id}_{n + 1}",
            "category": fact.category,
            "question": wordings[fact.id][n],
            "reference": fact.answer,
            "aliases": list(fact.aliases),
            "wrong": fact.wrong,
        }
        for n in range(max(len(fact.questions) for fact in of))
        for fact in order
        if n < len(fact.questions)
    ]


def requests(world: World, harmful: bool, seed: int) -> list[dict]:
    """The world's harmful or benign requests as questions, spread over the categories, each topic before any again.

    Returns rows with question_id, category and question.
    """
    kind = "harmful" if harmful else "benign"
    rng = random.Random(f"{kind} requests {seed}")
    asked = world.requests.asked(harmful)
    order = _spread(rng, [[(name, topic) for topic in of.topics] for name, of in asked.items()])
    wordings = {topic: rng.sample(world.requests.questions, len(world.requests.questions)) for _, topic in order}
    counts = dict.fromkeys(asked, 0)
    rows = []
    for n in range(len(world.requests.questions)):
        for name, topic in order:
            counts[name] += 1
            question = wordings[topic][n].format(topic=topic)
            rows.append({"question_id": f"{kind}_{name}_{counts[name]:02d}", "category": name, "question": question})
    return rows
