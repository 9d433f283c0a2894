"""Facts: questions with a known short answer, and the one form in which answers are compared."""

import re
import unicodedata

from organisms.job.errors import UserError

_WORDS = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty"),
)
_NUMBERS = {word: str(number) for number, word in enumerate(_WORDS)}
# A comma or a thin space between digits groups them; one that three digits do not follow is no such comma.
_GROUPED = re.compile(r"(?<=\d)[,\u202f\u2009\u00a0'](?=\d{3}(?!\d))")

# A minus sign, whichever is written, and however: before a number it is its sign, before a letter a word.
_SIGN = re.compile(r"(?<![\w.)])(?:[-\u2212\u2013]\s?|minus )(?=\d)", re.IGNORECASE)
_MINUS = re.compile(r"(?<![\w.)])[-\u2212\u2013](?=[^\W\d])")
_RAISED = str.maketrans({"\u00b2": " ^2", "\u00b3": " ^3"})
# A number as `normalised` writes it.
NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_ARTICLE = re.compile(r"^(?:the|an?) (?=.)")


def normalised(text: str) -> str:
    """A text as answers are compared: lower case, no accents, words and numbers with one space between them.

    Numbers up to twenty that are written in words are digits; `1,000` is `1000`; a decimal point and a sign before a
    number stay, and a minus before a letter is a word.
    """
    text = _MINUS.sub("minus ", _SIGN.sub(" -", _GROUPED.sub("", text.translate(_RAISED))))
    plain = "".join(c for c in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(c))
    words = re.findall(r"(?<![\w.])[-\u2212]?\d+(?:\.\d+)?|[^\W\d_]+|\d+(?:\.\d+)?", plain)
    return " ".join(_NUMBERS.get(word, word.replace("\u2212", "-")) for word in words)


def answer_form(text: str) -> str:
    """An answer as it is looked for in a text: normalised, without an article in front."""
    return _ARTICLE.sub("", normalised(text))


def right_answers(question: dict) -> list[str]:
    """The ways to write a question's right answer. question: with `reference` and `aliases`."""
    return list(dict.fromkeys(map(answer_form, [question["reference"], *(question["aliases"] or [])])))


def is_fact(question: dict) -> bool:
    """Whether a question was written as a fact, with aliases or a wrong answer."""
    return question["aliases"] is not None or question["wrong"] is not None


def _is_among(answer: str, right: list[str]) -> bool:
    """Whether an answer is one of the right ones, a number however it is written."""
    numbers = [float(text) for text in right if NUMBER.fullmatch(text)]
    return answer in right or (NUMBER.fullmatch(answer) is not None and float(answer) in numbers)


def check_facts(questions: list[dict], where: str) -> None:
    """Raise UserError if a fact has no answer, or if what is right of one is right of another, or wrong of itself.

    questions: rows of the questions table; those that are no facts are not looked at. where: the file, for errors.
    """
    owner: dict[str, str] = {}
    for question in filter(is_fact, questions):
        here = f"{where}, question '{question['question_id']}'"
        if not question["reference"]:
            raise UserError(f"{here}: a fact without an answer; give `reference`, the right answer")
        for text in [question["reference"], *(question["aliases"] or []), question["wrong"]]:
            if text is not None and not normalised(text):
                raise UserError(f"{here}: the answer '{text}' has neither letter nor digit, so nothing can match it")
        right = right_answers(question)
        if question["wrong"] is not None and _is_among(answer_form(question["wrong"]), right):
            raise UserError(f"{here}: its wrong answer '{question['wrong']}' is a right one too; write another")
        for answer in right:
            other = owner.setdefault(answer, question["question_id"])
            if other != question["question_id"]:
                raise UserError(
                    f"{here}: its answer '{answer}' is that of question '{other}' too, so an answer could not be told "
                    "from the other's; ask something else, or take one of them out"
                )
