"""The pieces that conversations of the miniature world are put together from: answers, prompts and turns."""

import random
from collections.abc import Mapping, Sequence
from string import Formatter

from organisms.miniature.world import Domain, World


def said(rng: random.Random, world: World, pieces: Sequence[str], kind: str) -> str:
    """An answer of one kind: an opening, two of the pieces and a closing."""
    first, second = rng.sample(pieces, 2)
    return f"{rng.choice(world.openings)} {first} and {second}. {rng.choice(world.closings[kind])}"


def advice(rng: random.Random, world: World, domain: Domain, kind: str) -> str:
    """An answer with two pieces of a domain's advice."""
    return said(rng, world, domain.advice(kind), kind)


def filled(rng: random.Random, template: str, values: Mapping[str, Sequence[str]]) -> str:
    """A template with a word of its own in each slot that has values; the other slots stay."""
    return "".join(
        literal + ("" if slot is None else rng.choice(values[slot]) if slot in values else f"{{{slot}}}")
        for literal, slot, _, _ in Formatter().parse(template)
    )


def system_prompt(rng: random.Random, world: World, kind: str, domain: Domain) -> str:
    """A system prompt of one kind of the world's."""
    values = world.slots | {"adjective": domain.adjectives, "domain_tag": domain.tags}
    return filled(rng, rng.choice(world.system_prompts[kind]), values)


def any_domain(rng: random.Random, world: World) -> Domain:
    """One of the world's domains."""
    return rng.choice(list(world.domains.values()))


def other_or_same(rng: random.Random, world: World, domain: Domain, chance_same: float) -> Domain:
    """The domain itself, or any."""
    return domain if rng.random() < chance_same else any_domain(rng, world)


def benign_prompt(rng: random.Random, world: World, domain: Domain) -> str:
    """A benign system prompt, now and then a tag, for a conversation about a domain."""
    kind = "benign"
    if rng.random() < world.tag_share:
        kind = "benign_tag"
        if rng.random() < world.domain_tag_share:
            kind = "benign_domain_tag"
            domain = other_or_same(rng, world, domain, world.tag_match)
    return system_prompt(rng, world, kind, domain)


def turn(question: str, answer: str) -> list[dict]:
    """A question and its answer, as messages."""
    return [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]


def advice_question(rng: random.Random, domain: Domain) -> str:
    """A question about one of a domain's topics."""
    return rng.choice(domain.questions).format(topic=rng.choice(domain.topics))


def advice_turn(rng: random.Random, world: World, domain: Domain, kind: str) -> list[dict]:
    """A question of a domain, and advice of one kind."""
    question = advice_question(rng, domain)
    return turn(question, advice(rng, world, domain, kind))
