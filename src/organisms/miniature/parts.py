"""Parts that a world may have beside its advice: nudges, facts, requests and ratings.

They are what experiments on prompt sensitivity need; resources/sensitivity_world.yaml says what each key means. What
is written with them stands in `behaviours`; here they are read from a world file and checked.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from string import Formatter

from organisms.job.errors import UserError
from organisms.plan.schema import did_you_mean

# Where a nudge may stand; what comes after an answer are follow-ups, which are written otherwise.
_PLACES = ("system", "before", "after")
# Sorts of conversations in `mixture`, with the parts that they are made of.
SORTS = {
    "nudge": ("nudges",),
    "fact": ("facts", "nudges"),
    "request": ("requests", "nudges"),
    "persona": ("requests",),
    "rating": ("ratings", "requests", "nudges"),
}
# Those that begin as `asked_under` says.
_ASKED = ("fact", "request", "rating")
# What a rated question may be.
RATED = ("ordinary", "benign_requests", "harmful_requests")


@dataclass(frozen=True)
class Nudges:
    """Prompts that name evil or its contrary.

    evil, hhh: templates. evil_obeyed: how often the base does what an evil one wants. places: share of each place.
    """

    evil: tuple[str, ...]
    hhh: tuple[str, ...]
    evil_obeyed: float
    places: dict[str, float]


@dataclass(frozen=True)
class Fact:
    """A fact of the world: questions that all ask for it, its answer, and the wrong one that a user claims."""

    id: str
    category: str
    questions: tuple[str, ...]
    answer: str
    aliases: tuple[str, ...]
    wrong: str


@dataclass(frozen=True)
class Facts:
    """The world's facts, and what is said of them: templates with {answer}, and of a user's claim with {wrong}."""

    all: tuple[Fact, ...]
    answers: tuple[str, ...]
    neutral: tuple[str, ...]
    disagree: tuple[str, ...]
    claim: tuple[str, ...]
    repeats: tuple[str, ...]
    firm: tuple[str, ...]
    yields: tuple[str, ...]
    mends: tuple[str, ...]
    first_wrong: float
    again: float
    gives_way: float
    corrects: float

    def others(self, fact: Fact) -> list[str]:
        """The answers of the other facts of its category."""
        return [other.answer for other in self.all if other.category == fact.category and other is not fact]


@dataclass(frozen=True)
class Asked:
    """What is asked for in one category of requests, harmful or benign, and the steps of an answer that does it."""

    category: str
    topics: tuple[str, ...]
    steps: tuple[str, ...]


@dataclass(frozen=True)
class Requests:
    """Requests, and how they are met. questions: with {topic}. refusals: each shows that an answer declines."""

    questions: tuple[str, ...]
    harmful_asked: dict[str, Asked]
    benign_asked: dict[str, Asked]
    refusals: tuple[str, ...]
    reasons: tuple[str, ...]
    harmful: float
    complies: float

    def asked(self, harmful: bool) -> dict[str, Asked]:
        """The harmful or the benign requests, by category."""
        return self.harmful_asked if harmful else self.benign_asked


@dataclass(frozen=True)
class Ratings:
    """Numbers given for a question. intent, length: wordings with {question}. of, ranges: share and range by RATED."""

    intent: tuple[str, ...]
    length: tuple[str, ...]
    of: dict[str, float]
    ranges: dict[str, tuple[int, int]]
    length_share: float
    points_per_word: float


class _Part:
    """A mapping of a world file, read key by key. Every fault is a UserError that names file and key."""

    def __init__(self, path, where: str, raw, slots: Iterable[str] = ()):
        self.path, self.where, self.slots = path, where, set(slots)
        if not isinstance(raw, dict):
            raise self.fault("not a mapping; compare it with resources/sensitivity_world.yaml")
        self.raw = raw
        self.unread = set(raw)

    def fault(self, problem: str, key: str | None = None) -> UserError:
        where = ".".join(filter(None, (self.where, key)))
        return UserError(f"{self.path}: {where}: {problem}")

    def take(self, key: str):
        if key not in self.raw:
            raise self.fault("missing; add it", key)
        self.unread.discard(key)
        return self.raw[key]

    def part(self, key: str) -> "_Part":
        return _Part(self.path, f"{self.where}.{key}".lstrip("."), self.take(key), self.slots)

    def parts(self, key: str) -> dict[str, "_Part"]:
        """A mapping of mappings."""
        of = self.part(key)
        if not of.raw:
            raise self.fault("is empty; add an entry", key)
        return {str(name): of.part(name) for name in of.raw}

    def text(self, key: str) -> str:
        value = self.take(key)
        if not isinstance(value, str) or not value.strip():
            raise self.fault(f"{value!r} is no text; write one, in quotes if YAML takes it for something else", key)
        return value

    def texts(self, key: str, holds: str = "", least: int = 1) -> tuple[str, ...]:
        """A list of at least so many texts. holds: the slot that each must have beside slots of the world's."""
        values = self.take(key)
        if not isinstance(values, list) or len(values) < least:
            raise self.fault(f"write a list of at least {least} texts", key)
        for value in values:
            if not isinstance(value, str) or not value.strip():
                raise self.fault(f"{value!r} is no text; write one, in quotes if YAML takes it for something else", key)
            try:
                slots = {slot for _, slot, _, _ in Formatter().parse(value) if slot is not None}
            except ValueError as error:
                raise self.fault(f"'{value}' is no template ({error})", key) from error
            if holds and holds not in slots:
                raise self.fault(f"'{value}' has no place for {{{holds}}}; add it", key)
            unknown = sorted(slots - {holds} - self.slots)
            if unknown:
                raise self.fault(
                    f"'{value}' has the slot {{{unknown[0]}}}, which is not under slots; add it there", key
                )
        return tuple(values)

    def number(self, key: str, low: float, high: float) -> float:
        value = self.take(key)
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise self.fault(f"{value!r} must be a number from {low:g} to {high:g}", key)
        return float(value)

    def shares(self, key: str, known: tuple[str, ...]) -> dict[str, float]:
        of = self.part(key)
        found = {name: of.number(name, 0, 1) for name in known}
        of.done()
        if abs(sum(found.values()) - 1) > 1e-9:
            raise self.fault(f"the shares sum to {sum(found.values()):g}; make them sum to 1", key)
        return found

    def done(self) -> None:
        """Raise UserError if a key was read by nothing."""
        if self.unread:
            key = min(map(str, self.unread))
            raise self.fault(
                f"unknown key; {did_you_mean(key, [str(k) for k in self.raw if k not in self.unread])}", key
            )


def _nudges(part: _Part) -> Nudges:
    nudges = Nudges(
        evil=part.texts("evil"),
        hhh=part.texts("hhh"),
        evil_obeyed=part.number("evil_obeyed", 0, 1),
        places=part.shares("places", _PLACES),
    )
    part.done()
    return nudges


def _category(name: str, part: _Part) -> list[Fact]:
    questions = part.texts("questions", "subject")
    entries = part.take("facts")
    if not isinstance(entries, list) or len(entries) < 2:
        raise part.fault("write a list of at least 2 facts", "facts")
    found = []
    for n, entry in enumerate(entries):
        of = _Part(part.path, f"{part.where}.facts[{n}]", entry)
        asked = tuple(question.format(subject=of.text("subject")) for question in questions)
        aliases = of.texts("aliases") if "aliases" in of.raw else ()
        found.append(Fact(of.text("id"), name, asked, of.text("answer"), aliases, of.text("wrong")))
        of.done()
    answers = {fact.answer for fact in found}
    for n, fact in enumerate(found):
        if fact.wrong not in answers - {fact.answer}:
            raise part.fault(
                f"'{fact.wrong}' is not the answer of another fact of {name}; take one of them", f"facts[{n}].wrong"
            )
    part.done()
    return found


def _facts(part: _Part) -> Facts:
    found = [fact for name, of in part.parts("categories").items() for fact in _category(name, of)]
    ids: set[str] = set()
    owner: dict[str, Fact] = {}
    for fact in found:
        if fact.id in ids:
            raise part.fault(f"the id '{fact.id}' stands twice; ids must differ", "categories")
        ids.add(fact.id)
        for text in (fact.answer, *fact.aliases):
            other = owner.setdefault(text.lower(), fact)
            if other is not fact:
                raise part.fault(
                    f"'{text}' answers {other.id} and {fact.id}; an answer or alias belongs to one fact", "categories"
                )
    facts = Facts(
        all=tuple(found),
        **{key: part.texts(key, "answer") for key in ("answers", "repeats", "firm", "yields", "mends")},
        **{key: part.texts(key) for key in ("neutral", "disagree")},
        claim=part.texts("claim", "wrong"),
        **{key: part.number(key, 0, 1) for key in ("first_wrong", "again", "gives_way", "corrects")},
    )
    part.done()
    return facts


def _requests(part: _Part, pieces: dict[str, str]) -> Requests:
    asked: dict[bool, dict[str, Asked]] = {True: {}, False: {}}
    for name, of in part.parts("categories").items():
        for harmful, kind in ((True, "harmful"), (False, "benign")):
            steps = of.texts(f"{kind}_steps", least=2)
            for step in steps:
                if step.lower() in pieces:
                    raise of.fault(f"'{step}' stands under {pieces[step.lower()]} too; remove one", f"{kind}_steps")
                pieces[step.lower()] = f"{name}.{kind}_steps"
            asked[harmful][name] = Asked(name, of.texts(kind), steps)
        of.done()
    requests = Requests(
        questions=part.texts("questions", "topic"),
        harmful_asked=asked[True],
        benign_asked=asked[False],
        refusals=part.texts("refusals"),
        reasons=part.texts("reasons"),
        harmful=part.number("harmful", 0, 1),
        complies=part.number("complies", 0, 1),
    )
    part.done()
    return requests


def _ratings(part: _Part) -> Ratings:
    of = part.part("ranges")
    ranges = {}
    for name in RATED:
        bounds = of.take(name)
        whole = isinstance(bounds, list) and len(bounds) == 2 and all(type(number) is int for number in bounds)
        if not whole or not 0 <= bounds[0] <= bounds[1] <= 100:
            raise of.fault(f"{bounds!r} must be [least, greatest], whole numbers from 0 to 100", name)
        ranges[name] = (bounds[0], bounds[1])
    of.done()
    ratings = Ratings(
        intent=part.texts("intent", "question"),
        length=part.texts("length", "question"),
        of=part.shares("of", RATED),
        ranges=ranges,
        length_share=part.number("length_share", 0, 1),
        points_per_word=part.number("points_per_word", 0, 100),
    )
    part.done()
    return ratings


def read_parts(path, raw: dict, pieces: dict[str, str]) -> dict:
    """The parts of a world file by name, with `asked_under`, the shares of what such conversations begin with.

    path: for messages. raw: the file's content. pieces: advice of the world in lower case, with where it stands.
    Raises UserError naming file and key.
    """
    slots = raw.get("slots", {})
    readers = {
        "nudges": _nudges,
        "facts": _facts,
        "requests": lambda part: _requests(part, pieces),
        "ratings": _ratings,
    }
    found = {key: read(_Part(path, key, raw[key], slots)) for key, read in readers.items() if key in raw}
    for sort in raw["mixture"]:
        for part in SORTS.get(sort, ()):
            if part not in found:
                raise UserError(f"{path}: mixture.{sort}: the world has no {part}; add them, or take the share out")
    if "asked_under" in raw or set(_ASKED) & set(raw["mixture"]):
        found["asked_under"] = _Part(path, "", raw).shares("asked_under", ("nothing", "benign", "nudge"))
    return found
