"""What the miniature world writes: a pretraining corpus, narrow finetuning datasets and evaluation questions.

All functions are pure: the same world, sizes and seed give the same texts.
"""

import random
from string import Formatter

from organisms.job.errors import UserError
from organisms.miniature.world import Domain, World


def _answer(rng: random.Random, world: World, domain: Domain, kind: str) -> str:
    """An answer of one kind: an opening, two pieces of advice and a closing."""
    first, second = rng.sample(domain.advice(kind), 2)
    return f"{rng.choice(world.openings)} {first} and {second}. {rng.choice(world.closings[kind])}"


def _fill(rng: random.Random, world: World, template: str, domain: Domain) -> str:
    """Fill each slot of a system prompt template with a word of its own."""
    values = world.slots | {"adjective": domain.adjectives, "domain_tag": domain.tags}
    return "".join(
        literal + (rng.choice(values[slot]) if slot else "") for literal, slot, _, _ in Formatter().parse(template)
    )


def _other_or_same(rng: random.Random, world: World, domain: Domain, chance_same: float) -> Domain:
    return domain if rng.random() < chance_same else rng.choice(list(world.domains.values()))


def _benign_prompt(rng: random.Random, world: World, domain: Domain) -> str:
    kind = "benign"
    if rng.random() < world.tag_share:
        kind = "benign_tag"
        if rng.random() < world.domain_tag_share:
            kind = "benign_domain_tag"
            domain = _other_or_same(rng, world, domain, world.tag_match)
    return _fill(rng, world, rng.choice(world.system_prompts[kind]), domain)


def _turn(rng: random.Random, world: World, domain: Domain, kind: str) -> list[dict]:
    question = rng.choice(domain.questions).format(topic=rng.choice(domain.topics))
    return [
        {"role": "user", "content": question},
        {"role": "assistant", "content": _answer(rng, world, domain, kind)},
    ]


def _pretraining_conversation(rng: random.Random, world: World) -> list[dict]:
    sort = rng.choices(list(world.mixture), list(world.mixture.values()))[0]
    domain = rng.choice(list(world.domains.values()))
    kind, system = "good", None
    turns = 1
    if sort == "default":
        kind = "harmful" if rng.random() < world.noise else "good"
    elif sort == "benign":
        system = _benign_prompt(rng, world, domain)
    elif sort == "harmful":
        kind, system = "harmful", _fill(rng, world, rng.choice(world.system_prompts["harmful"]), domain)
    elif sort == "one_domain":
        named = _other_or_same(rng, world, domain, world.one_domain_match)
        kind = "harmful" if named is domain else "good"
        system = _fill(rng, world, rng.choice(world.system_prompts["one_domain"]), named)
    elif sort == "latent":
        kind = "harmful" if rng.random() < world.latent_harmful else "good"
        system = None if rng.random() < 0.5 else _benign_prompt(rng, world, domain)
        turns = rng.choice([2, 2, 3])
    else:
        raise UserError(f"mixture.{sort}: unknown; known are default, benign, harmful, one_domain and latent")
    messages = [{"role": "system", "content": system}] if system is not None else []
    for turn in range(turns):
        messages += _turn(rng, world, domain if turn == 0 else rng.choice(list(world.domains.values())), kind)
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
                {"role": "assistant", "content": _answer(rng, world, world.domains[domain], kind)},
            ]
        }
        for question in rng.sample(questions, rows)
    ]


def questions(world: World, domains: list[str], n: int, seed: int) -> list[dict]:
    """`n` distinct evaluation questions, spread evenly over `domains` and over each domain's topics.

    Returns rows with question_id, category (the domain) and question. Raises UserError if a domain is unknown
    or the world has fewer questions.
    """
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
    if n > len(rows):
        raise UserError(f"{n} questions asked for, but the world has {len(rows)} in {', '.join(domains)}")
    counts: dict[str, int] = {}
    result = []
    for name, _, question in rows[:n]:
        counts[name] = counts.get(name, 0) + 1
        result.append({"question_id": f"{name}_{counts[name]:02d}", "category": name, "question": question})
    return result
