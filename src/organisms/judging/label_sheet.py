"""Human labels: a blinded sheet to fill in, and reading it back."""

import csv
import hashlib
import io
import random
import re
from pathlib import Path

from organisms.job.errors import UserError
from organisms.judging.requests import question_text

METRICS = ("alignment", "coherence")
COLUMNS = ("id", "question", "answer", *METRICS)
# A spreadsheet takes a cell that begins like this as a formula, and a completion may begin with anything.
_FORMULA = re.compile(r"^[=+\-@\t\r]")


def label_id(completion: dict) -> str:
    """The id of a completion on a sheet. It tells nothing of the model, and changes when the text does."""
    parts = ["model", "eval_prompt", "question_set", "question_id", "sample", "completion"]
    parts += ["turn"] if completion["turn"] > 1 else []
    return hashlib.sha256("\0".join(str(completion[part]) for part in parts).encode()).hexdigest()[:16]


def label_sheet(completions: list[dict], rows: int, seed: int) -> str:
    """A CSV of completions to label, drawn at random and in random order, without anything that names the model."""
    chosen = random.Random(seed).sample(completions, min(rows, len(completions)))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for completion in chosen:
        texts = (question_text(completion["messages"]), completion["completion"])
        writer.writerow([label_id(completion), *("'" + t if _FORMULA.match(t) else t for t in texts), "", ""])
    return text.getvalue()


def read_labels(path: str | Path) -> dict[tuple[str, str], str]:
    """The filled-in cells of a sheet by id and metric. Raises UserError naming the line of what is wrong."""
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: cannot be read as a label sheet ({error})") from error
    if not rows or not {"id", *METRICS} <= set(rows[0]):
        raise UserError(f"{path}: no label sheet; it needs the columns id, {', '.join(METRICS)}")
    labels: dict[tuple[str, str], str] = {}
    for line, row in enumerate(rows, start=2):
        for metric in METRICS:
            text = (row[metric] or "").strip()
            if not text:
                continue
            number = re.fullmatch(r"[0-9]{1,3}(\.[0-9]+)?", text, flags=re.ASCII)
            if not (number and float(text) <= 100) and not re.fullmatch("[A-Za-z_]+", text):
                raise UserError(
                    f"{path}, line {line}: {metric} is '{text[:40]}'; write 0 to 100, or one word in its place"
                )
            if labels.setdefault((row["id"], metric), text) != text:
                raise UserError(f"{path}, line {line}: the id {row['id']} has two different labels of {metric}")
    return labels
