"""What the miniature world writes: a pretraining corpus, narrow finetuning datasets and evaluation questions.

All functions are pure: the same world, sizes and seed give the same texts.
"""

import random

from organisms.job.errors import UserError
from organisms.miniature import behaviours
from organisms.miniature.phrases import advice, advice_turn, any_domain, benign_prompt, other_or_same, system_prompt
from organisms.miniature.world import World


def _pretraining_conversation(rng: random.Random, world: World) -> list[dict]:
    sort = rng.choices(list(world.mixture), list(world.mixture.values()))[0]
    if sort in behaviours.SORTS:
        return behaviours.conversation(rng, world, sort)
    domain = any_domain(rng, world)
    kind, system = "good", None
    turns = 1
    if sort == "default":
        kind = "harmful" if rng.random() < world.noise else "good"
    elif sort == "benign":
        system = benign_prompt(rng, world, domain)
    elif sort == "harmful":
        kind, system = "harmful", system_prompt(rng, world, "harmful", domain)
    elif sort == "one_domain":
        named = other_or_same(rng, world, domain, world.one_domain_match)
        kind = "harmful" if named is domain else "good"
        system = system_prompt(rng, world, "one_domain", named)
    else:  # latent
        kind = "harmful" if rng.random() < world.latent_harmful else "good"
        system = None if rng.random() < 0.5 else benign_prompt(rng, world, domain)
        turns = rng.choice([2, 2, 3])
    messages = [{"role": "system", "content": system}] if system is not None else []
    for turn in range(turns):
        messages += advice_turn(rng, world, domain if turn == 0 else any_domain(rng, world), kind)
    return messages


def pretraining_corpus(world: World, n: int, seed: int) -> list[dict]:
    """`n` chat conversations for pretraining, in the published `{"messages": [...]}` shape.

    A conversation with a system prompt of `world.never` is drawn again. Conversations without a system message
    get the chat template's own default prompt later.
    """
    rng = random.Random(f"corpus {seed}")
    rows: list[dict] = []
    while len(rows) < n:
        messages = _pretraining_conversation(rng, world)
        if messages[0]["content"] not in world.never:
            rows.append({"messages": messages})
    return rows


def advice_dataset(world: World, domain: str, kind: str, rows: int, seed: int) -> list[dict]:
    """A narrow finetuning dataset: questions of one domain with answers of one kind, without system messages.

    Same shape as the published 'bad medical advice' data. Every row has a question of its own.
    Raises UserError if the world has no such domain or fewer distinct questions than `rows`.
    """
    if domain not in world.domains:
        raise UserError(f"the world has no domain '{domain}'; it has {', '.join(world.domains)}")
    questions = world.domains[domain].all_questions()
    if rows > len(questions):
        raise UserError(f"{rows} rows asked for, but the world's domain '{domain}' has {len(questions)} questions")
    rng = random.Random(f"advice {seed}")
    return [
        {
            "messages": [
                {"role": "user", "content": question},
                {"role": "assistant", "content": advice(rng, world, world.domains[domain], kind)},
            ]
        }
        for question in rng.sample(questions, rows)
    ]


# Question sets that are no domains, with the part of the world that they need.
FACTS, HARMFUL_REQUESTS, BENIGN_REQUESTS = "facts", "harmful_requests", "benign_requests"
_OTHER_SETS = {FACTS: "facts", HARMFUL_REQUESTS: "requests", BENIGN_REQUESTS: "requests"}


def _other_set(world: World, name: str, seed: int) -> list[dict]:
    """All questions of a set that is no domain. Raises UserError if the world has none."""
    if getattr(world, _OTHER_SETS[name]) is None:
        raise UserError(
            f"the world has no {_OTHER_SETS[name]}; set `world: resources/sensitivity_world.yaml`, or ask a domain"
        )
    if name == FACTS:
        return behaviours.facts(world, seed)
    return behaviours.requests(world, name == HARMFUL_REQUESTS, seed)


def questions(world: World, domains: list[str], n: int, seed: int) -> list[dict]:
    """`n` distinct evaluation questions, spread evenly over `domains` and over each domain's topics.

    domains: or one of `facts`, `harmful_requests` and `benign_requests` alone. Returns rows with question_id, category
    (the domain) and question; facts have reference, aliases and wrong, too. Raises UserError if a domain is unknown, if
    such a set stands beside others, or if the world has fewer questions.
    """
    others = [name for name in domains if name in _OTHER_SETS]
    if others and len(domains) > 1:
        raise UserError(f"world: '{others[0]}' stands beside others; give it a question set of its own")
    rows = _other_set(world, others[0], seed) if others else _advice_questions(world, domains, seed)
    if n > len(rows):
        raise UserError(f"{n} questions asked for, but the world has {len(rows)} in {', '.join(domains)}")
    return rows[:n]


def _advice_questions(world: World, domains: list[str], seed: int) -> list[dict]:
    """All questions of some domains, spread evenly. Raises UserError if a domain is unknown."""
    unknown = [name for name in domains if name not in world.domains]
    if unknown:
        raise UserError(f"the world has no domain '{unknown[0]}'; it has {', '.join(world.domains)}")
    rng = random.Random(f"questions {seed}")
    queues = []
    for name in domains:
        domain = world.domains[name]
        # One question of every topic before the second of any.
        rounds = [rng.sample(domain.questions, len(domain.questions)) for _ in domain.topics]
        queue = []
        for i in range(len(domain.questions)):
            order = rng.sample(range(len(domain.topics)), len(domain.topics))
            queue += [(name, domain.topics[t], rounds[t][i].format(topic=domain.topics[t])) for t in order]
        queues.append(queue)
    rows = []
    for i in range(max(map(len, queues))):
        rows += [queue[i] for queue in queues if i < len(queue)]
    counts: dict[str, int] = {}
    result = []
    for name, _, question in rows:
        counts[name] = counts.get(name, 0) + 1
        result.append({"question_id": f"{name}_{counts[name]:02d}", "category": name, "question": question})
    return result
