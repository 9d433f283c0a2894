"""Reading what a judge by prompt is to judge."""

from collections.abc import Iterator
from pathlib import Path

from organisms import tables
from organisms.judging.asked import Asked, cell_name, collect
from organisms.judging.items import METRICS, attack_completions, attack_items, gold_completions, gold_items
from organisms.judging.judgments import judgments_by_prompt
from organisms.judging.plan import metrics_of, template_path
from organisms.judging.requests import Requests
from organisms.judging.templates import load_template


def load_requests(config: dict, judge: str, settings: dict) -> Requests:
    """A judge's requests, with the templates of all its metrics."""
    return Requests(settings, {m: load_template(template_path(config, m)) for m in metrics_of(config, judge)})


def references_in(questions: list[str]) -> dict[str, dict[str, str]]:
    """References by question set and question id. questions: paths of question tables, named after their sets."""
    return {
        Path(path).stem: {
            row["question_id"]: row["reference"] for row in tables.read(path, "questions").iter_rows(named=True)
        }
        for path in questions
    }


def collect_cells(config: dict, judge: str, requests: Requests, cells: list[list[dict]], questions: list[str]) -> Asked:
    """What a judge is to be asked about cells (rows of the completions table each).

    questions: paths of the question tables whose references are compared with.
    """
    metrics = {rows[0]["question_set"]: metrics_of(config, judge, rows[0]["question_set"]) for rows in cells if rows}
    return collect(requests, cells, metrics, references_in(questions))


def cell_judgments(
    judge: str, settings: dict, cells: list[list[dict]], asked: Asked, verdicts: dict[str, dict]
) -> Iterator[list[dict]]:
    """Rows of the judgments table, cell by cell. verdicts: as `Asked.verdict_rows` gives them."""
    for rows in cells:
        yield judgments_by_prompt(judge, rows, asked.cells[cell_name(rows)], settings, verdicts)


def collect_items(requests: Requests, items: str, path: str) -> Asked:
    """What a judge is to be asked about the gold set or the attacks (`items`)."""
    metrics = [metric for metric in METRICS if metric in requests.templates]
    return collect(requests, [_item_rows(items, path)], {items: metrics}, {})


def _item_rows(items: str, path: str) -> list[dict]:
    return gold_completions(gold_items(path)) if items == "gold" else attack_completions(attack_items(path))


def item_verdicts(items: str, path: str, asked: Asked, verdicts: dict[str, dict], samples: int) -> list[dict]:
    """Rows of the verdicts table: what was said of each item and metric; of several judge samples the first."""
    return [
        {"item": row["question_id"], "metric": metric} | verdicts[keys[i * samples]]
        for metrics in asked.cells.values()
        for metric, keys in metrics.items()
        for i, row in enumerate(_item_rows(items, path))
    ]
