"""Reading what a judge by prompt is to judge."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from organisms.data.tables import QUESTIONS
from organisms.job import tables
from organisms.judging.asked import Asked, cell_name, collect
from organisms.judging.items import METRICS, attack_completions, attack_items, gold_completions, gold_items
from organisms.judging.judgments import judgments_by_prompt
from organisms.judging.requests import Requests


def references_in(questions: Iterable[str]) -> dict[str, dict[str, str]]:
    """References by question set and question id. questions: paths of question tables, named after their sets."""
    return {
        Path(path).stem: {
            row["question_id"]: row["reference"] for row in tables.read(path, QUESTIONS).iter_rows(named=True)
        }
        for path in questions
    }


def collect_cells(
    requests: Requests, cells: list[list[dict]], metrics: dict[str, list[str]], questions: Iterable[str]
) -> Asked:
    """What a judge is to be asked about cells (rows of the completions table each).

    metrics: by question set. questions: paths of the question tables whose references are compared with.
    """
    return collect(requests, cells, metrics, references_in(questions))


def cell_judgments(
    judge: str, requests: Requests, cells: list[list[dict]], asked: Asked, ratings: dict[str, dict]
) -> Iterator[list[dict]]:
    """Rows of the judgments table, cell by cell. ratings: as `Asked.rating_rows` gives them."""
    for rows in cells:
        yield judgments_by_prompt(judge, rows, asked.cells[cell_name(rows)], requests, ratings)


def collect_items(requests: Requests, items: str, path: str) -> Asked:
    """What a judge is to be asked about the gold set or the attacks (`items`)."""
    metrics = [metric for metric in METRICS if metric in requests.templates]
    return collect(requests, [_item_rows(items, path)], {items: metrics}, {})


def _item_rows(items: str, path: str) -> list[dict]:
    return gold_completions(gold_items(path)) if items == "gold" else attack_completions(attack_items(path))


def item_ratings(items: str, path: str, asked: Asked, ratings: dict[str, dict], samples: int) -> list[dict]:
    """Rows of the ratings table: what was said of each item and metric; of several judge samples the first."""
    return [
        {"item": row["question_id"], "metric": metric} | ratings[keys[i * samples]]
        for metrics in asked.cells.values()
        for metric, keys in metrics.items()
        for i, row in enumerate(_item_rows(items, path))
    ]
