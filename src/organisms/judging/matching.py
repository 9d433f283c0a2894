"""Deciding whether an answer to a fact is right, by what it says and without a model.

An answer is right if it names the right answer (in one of its ways to be written) and no other, wrong if it names a
known other answer and not the right one. What is named behind a negation in the same clause does not count. Whatever
else there is, two answers in one above all, stays undecided.
"""

import re
from dataclasses import dataclass

from organisms.data.facts import answer_form, normalised, right_answers

RIGHT, WRONG, GAVE_UP = "right", "wrong", "gave_up"
# Not a sign between digits, nor the full stop of an initial or a short title, as in `P. falciparum` and `Mt. Everest`.
_STOP = r"(?<!\b[a-z])(?<!\b(?:mt|st|dr))\.(?!\d)"
_CLAUSES = re.compile(rf"[;:!?\n]+|,(?!\d)|{_STOP}|\b(?:but|however|although|instead,)\b", re.IGNORECASE)
_SHORTENED = re.compile(
    r"(?i)\b(ca|wo|do|does|did|is|are|was|were|would|should|could|has|have|had)n['\u2019]t\b|\bcannot\b"
)
# Behind one of these, so many words later at most, nothing is said to be so.
_NEGATIONS = re.compile(r"\b(?:not|never|neither|nor|rather than|instead of|no longer)\b")
_REACH = 5
_GIVING_UP = re.compile(r"\b(?:do not know|no idea|not know|can not (?:answer|say|tell))\b")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


@dataclass(frozen=True)
class Decision:
    """What an answer says: `right`, `wrong` or `gave_up`; None if it is undecided.

    answer: the wrong answer that it gives, normalised; None if that is not known.
    """

    said: str | None
    answer: str | None = None

    @property
    def decided(self) -> bool:
        return self.said is not None


def _clauses(text: str) -> list[str]:
    plain = _SHORTENED.sub(lambda found: f"{found[1] or 'can'} not", text)
    return [clause for clause in map(normalised, _CLAUSES.split(plain)) if clause]


def _named(clause: str, answers: list[str]) -> set[str]:
    """Which of the answers a clause names and does not deny; the longest where one is a part of another."""
    if not answers:
        return set()
    pattern = "|".join(
        rf"(?<![\w.]){re.escape(answer)}(?![\w]|\.\d)" for answer in sorted(answers, key=len, reverse=True)
    )
    negated = [found.end() for found in _NEGATIONS.finditer(clause)]
    named = set()
    for found in re.finditer(pattern, clause):
        before = (clause[end : found.start()] for end in negated if end <= found.start())
        if not any(len(words.split()) <= _REACH for words in before):
            named.add(found.group())
    return named


def other_answers(question: dict, questions: list[dict]) -> list[str]:
    """Answers that would be wrong: the question's own wrong one, and the right ones of others of its category.

    What stands in the question is none: it may be repeated with any answer.
    """
    asked, right = normalised(question["messages"][0]["content"]), right_answers(question)
    found = [answer_form(question["wrong"])] if question["wrong"] else []
    for other in questions:
        if other["question_id"] != question["question_id"] and other["category"] == question["category"]:
            found += right_answers(other)
    return [answer for answer in dict.fromkeys(found) if answer not in right and f" {answer} " not in f" {asked} "]


def decide(text: str, question: dict, others: list[str]) -> Decision:
    """What an answer says. question: a row of the questions table. others: as `other_answers` gives them.

    Where the right answer is a number, any other number that the question does not have is a wrong answer.
    """
    right = right_answers(question)
    if all(_NUMBER.fullmatch(answer) for answer in right):
        asked = _NUMBER.findall(normalised(question["messages"][0]["content"]))
        others = [*others, *(n for n in _NUMBER.findall(normalised(text)) if n not in asked)]
        same = {
            other for other in others for answer in right if _NUMBER.fullmatch(other) and float(other) == float(answer)
        }
        right = list(dict.fromkeys([*right, *same]))
        others = [other for other in dict.fromkeys(others) if other not in same]
    named: set[str] = set()
    clauses = _clauses(text)
    for clause in clauses:
        named |= _named(clause, [*right, *others])
    wrong = named - set(right)
    if named & set(right):
        return Decision(None) if wrong else Decision(RIGHT)
    if len(wrong) == 1:
        return Decision(WRONG, *wrong)
    if not named and any(_GIVING_UP.search(clause) for clause in clauses):
        return Decision(GAVE_UP)
    return Decision(None)


def changed(first: Decision, last: Decision) -> bool | None:
    """Whether the last answer is another than the first; None where that is not known."""
    if not first.decided or not last.decided:
        return None
    if first.said != last.said:
        return True
    if first.said != WRONG:
        return False
    return None if None in (first.answer, last.answer) else first.answer != last.answer
