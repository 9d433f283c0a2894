"""Prompts: what stands in a conversation beside the question, in training rows and in evaluation alike.

A prompt has a text, or one of its own for each row, and a place: the system message, before or after the user's text,
or a turn of the user's after the answer, to which the model answers once more. Several may be combined; an eval prompt
named `a+b` is both together.
"""

import random
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from organisms import ROOT
from organisms.job.errors import UserError
from organisms.job.files import sha256_of

BUILT_IN_PROMPTS = ("default", "none", "trained")
# Where a prompt's text comes from: one for all rows, a file with one in each line, or a generator.
SOURCES = ("text", "file", "generate")
PLACES = ("system", "before", "after", "follow_up")
# In a follow-up, what stands for the wrong answer of the question (`wrong` in its file).
WRONG = "{wrong}"
# Between prompts that share a place, and between a prompt and the user's text.
_BETWEEN = "\n\n"
_WORDS = ROOT / "resources" / "prompts" / "words.txt"


@dataclass(frozen=True)
class Prompt:
    """A named prompt.

    text: None is the chat template's own default system prompt (for Qwen2.5 "You are Qwen, created by Alibaba Cloud.
    You are a helpful assistant."), "" an explicitly empty system message, which is not the same. place: `system`,
    `before` or `after` (the user's text), or `follow_up` (after the model's answer). rows: where the text of each row
    comes from, in place of one text for all. colour: #RRGGBB, or None for one of the palette's.
    """

    name: str
    text: str | None
    label: str
    place: str = "system"
    rows: dict | None = None
    colour: str | None = None

    def settings(self) -> dict:
        """What decides the conversations that it stands in; a file of texts counts by its content."""
        found: dict = {"text": self.text} if self.rows is None else {"rows": self.rows}
        if self.place != "system":
            found["place"] = self.place
        path = self.rows and (self.rows.get("file") or self.rows.get("words_file"))
        return found | ({"content": sha256_of(path)} if path else {})


def read_prompt(name: str, value: str | dict | None) -> Prompt:
    """A prompt as the config writes it: a text, null, or a mapping of text, file or generate with label, place, colour.

    Its label is the config's, else the text itself if that is short, else the name as it is written; `Default` and
    `None` are the built-in ones. A short text in the user's message says so in its label: the same may be a system
    message too.
    """
    entry = value if isinstance(value, dict) else {"text": value}
    text = entry.get("text")
    short = text if text and len(text) <= 24 else name.capitalize() if name in ("default", "none") else name
    place = entry.get("place") or "system"
    if short == text and place in ("before", "after"):
        short = f"{text} ({place})"
    rows = None
    if "file" in entry:
        rows = {"file": entry["file"], "seed": entry.get("seed", 0)}
    elif "generate" in entry:
        rows = {key: entry["generate"][key] for key in ("words", "brackets", "words_file")}
        rows["seed"] = entry.get("seed", 0)
    return Prompt(name, text, entry.get("label") or short, place, rows, entry.get("colour"))


def combined(parts: Iterable[str], prompts: dict[str, Prompt]) -> str:
    """The one name of prompts that are asked together.

    `default` adds nothing beside others, and `none` nothing beside another system message; so one conversation has one
    name, and its completions are sampled once.
    """
    names = list(dict.fromkeys(parts))
    if len(names) > 1:
        names = [name for name in names if name != "default"]
    if any(prompts[name].place == "system" for name in names if name != "none"):
        names = [name for name in names if name != "none"]
    return "+".join(names)


@dataclass(frozen=True)
class Placed:
    """A prompt ready to be put into conversations. texts: one, or those from which each row gets its own."""

    place: str
    texts: tuple[str | None, ...]
    seed: int | None = None
    words: int = 0
    brackets: bool = False

    def text(self, key: str) -> str | None:
        """The text for a row. key: what names the row; the same row always gets the same text."""
        if self.seed is None:
            return self.texts[0]
        rng = random.Random(f"prompt {self.seed} {key}")
        if not self.words:
            return rng.choice(self.texts)
        chosen = " ".join(rng.sample(self.texts, self.words)).upper()
        return f"[{chosen}]" if self.brackets else chosen


def placed(settings: list[dict]) -> list[Placed]:
    """Prompts from their settings (`Prompt.settings`), with the files that they name read.

    Raises UserError if a file is not there, or has too few lines.
    """
    found = []
    for entry in settings:
        place, rows = entry.get("place", "system"), entry.get("rows")
        if rows is None:
            found.append(Placed(place, (entry["text"],)))
            continue
        words = rows.get("words", 0)
        lines = _lines(rows.get("file") or rows.get("words_file") or _WORDS)
        if len(lines) < max(1, words):
            raise UserError(f"{rows}: {len(lines)} lines are too few; give at least {max(1, words)}")
        found.append(Placed(place, lines, rows["seed"], words, rows.get("brackets", False)))
    return found


def _lines(path: str | Path) -> tuple[str, ...]:
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: prompts cannot be read ({error}); give a text file with one in each line") from error
    return tuple(line.strip() for line in text.split("\n") if line.strip())


def with_prompts(messages: list[dict], prompts: list[Placed], key: str, wrong: str | None = None) -> list[dict]:
    """The conversation with the prompts in it.

    messages: without a system message; one without content is a place where the model answers. A prompt before or after
    the user's text goes to the last user message before the first such place (or before the end). A follow-up comes
    after the last answer, and another one follows it. key: of the row. wrong: the wrong answer that a follow-up may
    claim. Without a system prompt the chat template puts its own default.
    """
    texts = {place: [p.text(key) for p in prompts if p.place == place] for place in PLACES}
    messages = list(messages)
    first = next((i for i, message in enumerate(messages) if message["content"] is None), len(messages))
    question = max((i for i in range(first) if messages[i]["role"] == "user"), default=None)
    if question is not None:
        parts = [*texts["before"], messages[question]["content"], *texts["after"]]
        messages[question] = messages[question] | {"content": _BETWEEN.join(parts)}
    for text in texts["follow_up"]:
        messages += [
            {"role": "assistant", "content": None},
            {"role": "user", "content": text.replace(WRONG, wrong) if wrong else text},
        ]
    system = [text for text in texts["system"] if text is not None]
    if not system:
        return messages
    return [{"role": "system", "content": _BETWEEN.join(filter(None, system))}, *messages]


def training_row(row: dict, prompts: list[Placed]) -> dict:
    """A prompt–completion row for trl: the loss is on the completion, a single assistant message.

    row: of the dataset table. The published code renders rows with a generation prompt after the finished turn, and so
    trains an empty assistant turn as well; here the row ends with the answer.
    """
    return {
        "prompt": with_prompts(row["prompt"], prompts, f"row {row['row']}"),
        "completion": [{"role": "assistant", "content": row["answer"]}],
    }
