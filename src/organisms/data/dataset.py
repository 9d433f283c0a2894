"""Finetuning datasets: reading the published `messages` form, and splitting off held-out questions."""

import gzip
import json
import random
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import regex

from organisms.job.errors import UserError
from organisms.job.json_text import read_json

ROLES = ("system", "user", "assistant")


@dataclass(frozen=True)
class Row:
    """One training conversation: what comes before the answer, and the answer.

    row: line in the source file, from 1.
    """

    row: int
    prompt: tuple[dict, ...]
    answer: str


# Alike in all that is asked: accents that stand for an apostrophe, and every dash for a hyphen. A raised digit is one
# of its own: 3² is not 32.
_ALIKE = {ord("`"): "'", ord("´"): "'"} | {ord(raised): f"^{digit}" for digit, raised in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")}
_DASH = regex.compile(r"\p{Pd}")
# What joins or directs and is not seen, but for the letters within flags.
_UNSEEN = regex.compile(r"(?V1)[[\p{Cf}\uFE00-\uFE0F]--[\U000E0020-\U000E007F]]")
# Words, with the marks of their letters; signs that are part of what is asked, such as + $ 🦩; and punctuation before a
# digit, as in 3-4, -5 and 3.5. Other punctuation is left out.
_PARTS = regex.compile(r"[^\s\p{P}\p{S}]+|[\p{S}#%&*/@\\_]|[-.,:](?=\s*\d)")


def normalised(text: str) -> str:
    """Text without case, punctuation and differences in white space, for finding repeated questions.

    What is nothing but punctuation is itself.
    """
    text = unicodedata.normalize("NFKC", text.translate(_ALIKE)).casefold()
    text = _UNSEEN.sub("", _DASH.sub("-", unicodedata.normalize("NFKC", text)))
    return " ".join(_PARTS.findall(text)) or text.strip()


def question_of(prompt: Iterable[dict]) -> str:
    """What a conversation without its answer asks, in a normal form: two with the same ask the same."""
    return "\n".join(normalised(message["content"]) for message in prompt)


def beginnings(prompt: Sequence[dict]) -> list[str]:
    """What a conversation asks up to each of its user's messages, as `question_of`; the last is all of it."""
    return [question_of(prompt[: i + 1]) for i, message in enumerate(prompt) if message["role"] == "user"]


def _messages(line: str, where: str) -> list[dict]:
    """The messages of one line, checked one by one."""
    entry = read_json(line, where)
    messages = entry.get("messages") if isinstance(entry, dict) else None
    if not isinstance(messages, list) or not messages:
        raise UserError(f'{where}: no "messages"; write {{"messages": [{{"role": "user", "content": ...}}, ...]}}')
    for i, message in enumerate(messages):
        if not isinstance(message, dict) or message.get("role") not in ROLES:
            raise UserError(f"{where}: messages[{i}] has no role of {', '.join(ROLES)}")
        content = message.get("content")
        # An empty system message is one, and another than none.
        if not isinstance(content, str) or not (content.strip() or message["role"] == "system"):
            raise UserError(f"{where}: messages[{i}].content is not text or is empty")
    if messages[-1]["role"] != "assistant":
        raise UserError(
            f"{where}: the last message is the {messages[-1]['role']}'s; a row ends with the assistant's answer"
        )
    if len(messages) < 2 or messages[-2]["role"] != "user":
        raise UserError(f"{where}: no user message before the assistant's answer")
    return [{"role": message["role"], "content": message["content"]} for message in messages]


def read_conversations(path: str | Path) -> dict[int, list[dict]]:
    """The conversations of a JSON Lines file (.jsonl or .jsonl.gz) by line number. Blank lines are passed over.

    Raises UserError naming file and line of the first one that is not a conversation which ends with a user's
    message and the assistant's answer, and for a missing, unreadable or empty file.
    """
    path = Path(path)
    try:
        raw = path.read_bytes()
        text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode()
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such dataset file; check the path in the config") from error
    except (UnicodeDecodeError, OSError, EOFError) as error:
        raise UserError(
            f"{path}: cannot be read ({error}); it must be UTF-8 text, gzipped if its name ends in .gz"
        ) from error
    # Not splitlines(): a JSON string may hold characters that it takes for line ends.
    lines = text.split("\n")
    rows = {n: _messages(line, f"{path}, line {n}") for n, line in enumerate(lines, start=1) if line.strip()}
    if not rows:
        raise UserError(f"{path}: the dataset is empty; give it at least two rows with different questions")
    return rows


def read_rows(path: str | Path) -> list[Row]:
    """The training rows of a dataset file; see `read_conversations`.

    Raises UserError also for a system message: which one stands there is for the config to say.
    """
    rows = []
    for n, messages in read_conversations(path).items():
        if any(message["role"] == "system" for message in messages):
            raise UserError(
                f"{path}, line {n}: holds a system message; remove it, "
                "since training_prompts in the config puts one there"
            )
        rows.append(Row(row=n, prompt=tuple(messages[:-1]), answer=messages[-1]["content"].strip()))
    return rows


def write_rows(rows: list[dict], path: Path) -> None:
    """Write conversations as JSON Lines, gzipped if the name ends in .gz; equal rows give equal files."""
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
    path.write_bytes(gzip.compress(text, mtime=0) if path.suffix == ".gz" else text)


def split(rows: list[Row], heldout: float, seed: int) -> tuple[list[Row], list[Row]]:
    """Training and held-out rows, disjoint by normalised question: rows that ask the same go to the same side.

    A conversation that begins with another row's question asks that one too, and goes with it. heldout: a share of the
    distinct questions if below 1 (at least one), else their number. Both sides keep the rows' order. Raises UserError
    if nothing would be left to train on.
    """
    asked = [beginnings(row.prompt) for row in rows]
    whole = {questions[-1] for questions in asked}
    first = [next(question for question in questions if question in whole) for questions in asked]
    questions = sorted(set(first))
    n_heldout = max(1, round(heldout * len(questions))) if heldout < 1 else int(heldout)
    if n_heldout >= len(questions):
        raise UserError(
            f"heldout {heldout:g} asks for {n_heldout} held-out questions, but the dataset has {len(questions)} "
            "distinct ones and training needs at least one: lower it"
        )
    chosen = set(random.Random(f"split {seed}").sample(questions, n_heldout))
    sides = [question in chosen for question in first]
    return (
        [row for row, is_heldout in zip(rows, sides, strict=True) if not is_heldout],
        [row for row, is_heldout in zip(rows, sides, strict=True) if is_heldout],
    )


def mix(rows: list[dict], heldout: list[dict], others: list[dict], share: float, seed: int) -> list[dict]:
    """A training split of which a share of the rows is replaced by rows of another dataset.

    rows, others: training rows of the dataset table. heldout: held-out rows of the first dataset; a row of the second
    that asks one of them, begins with one or is the beginning of one is not used. Returns as many rows as `rows`, in a
    seeded order; `round(share * len(rows))` of them are of `others`, whose line numbers are negative to tell them
    apart. Raises UserError if `others` has too few.
    """
    kept_out = {question_of(row["prompt"]) for row in heldout}
    begun = {question for row in heldout for question in beginnings(row["prompt"])}
    usable = [
        row
        for row in others
        if question_of(row["prompt"]) not in begun and kept_out.isdisjoint(beginnings(row["prompt"]))
    ]
    n_others = round(share * len(rows))
    if n_others > len(usable):
        raise UserError(
            f"the mixture needs {n_others} rows of its second dataset, which has {len(usable)} usable ones: lower share"
        )
    rng = random.Random(f"mixture {seed}")
    mixed = rng.sample(rows, len(rows) - n_others)
    mixed += [row | {"row": -row["row"]} for row in rng.sample(usable, n_others)]
    rng.shuffle(mixed)
    return mixed
