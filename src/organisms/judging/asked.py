"""From completions to the distinct requests that judging them takes, and from ratings back to rows."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from organisms.job.errors import UserError
from organisms.judging.ledger import Ledger
from organisms.judging.ratings import Rating
from organisms.judging.requests import Ask, Requests, asks


def cell_name(rows: list[dict]) -> str:
    """The name of a cell, from its rows of the completions table."""
    return "/".join(rows[0][key] for key in ("model", "eval_prompt", "question_set"))


@dataclass
class Asked:
    """asks: what to ask, by the request's key. cells: the keys of a cell's rows, by the cell's name and metric."""

    asks: dict[str, Ask] = field(default_factory=dict)
    cells: dict[str, dict[str, list[str]]] = field(default_factory=dict)

    @property
    def n_rows(self) -> int:
        return sum(len(keys) for metrics in self.cells.values() for keys in metrics.values())

    def rating_rows(self, ratings: dict[str, Rating], answered_by: dict[str, dict]) -> dict[str, dict]:
        """What was said to each request, by its key: score, flag, reason, raw, judge_model and server.

        answered_by: judge_model and server, by key, of what was answered.
        """
        no_one = dict.fromkeys(("judge_model", "server"))
        return {key: no_one | answered_by.get(key, {}) | vars(ratings[key]) for key in self.asks}

    def by_cell(self, ratings: dict[str, Rating]) -> dict[str, dict[str, list[Rating]]]:
        """The rating of each row, by cell and metric."""
        return {
            cell: {metric: [ratings[key] for key in keys] for metric, keys in metrics.items()}
            for cell, metrics in self.cells.items()
        }


def collect(
    requests: Requests,
    cells: Iterable[list[dict]],
    metrics: dict[str, list[str]],
    references: dict[str, dict[str, str]],
) -> Asked:
    """What there is to ask about completions.

    cells: rows of the completions table, cell by cell. metrics: by question set. references: by question set and
    question id, for metrics whose prompt has one. Raises UserError if such a reference is missing.
    """
    asked = Asked()
    for rows in cells:
        if not rows:
            continue
        question_set = rows[0]["question_set"]
        known = references.get(question_set, {})
        compared = [m for m in metrics[question_set] if "reference" in requests.templates[m].placeholders]
        for row in rows if compared else ():
            if not known.get(row["question_id"]):
                raise UserError(
                    f"metric '{compared[0]}' compares with a reference, and question '{row['question_id']}' of "
                    f"'{question_set}' has none; give question_sets.{question_set}.reference_from, or limit "
                    f"metrics.{compared[0]}.question_sets to sets that have references"
                )
        of_cell: dict[str, list[str]] = {metric: [] for metric in metrics[question_set]}
        for ask in asks(rows, metrics[question_set], requests.samples, known):
            key = requests.key(ask)
            asked.asks.setdefault(key, ask)
            of_cell[ask.metric].append(key)
        asked.cells[cell_name(rows)] = of_cell
    return asked


def usage_rows(judge: str, ledger: Ledger, needed: Iterable[str]) -> list[dict]:
    """Rows of the usage table: every answer in a judge's ledger, those that are needed now and the others."""
    needed = set(needed)
    counted = ("input_tokens", "output_tokens", "cache_write_tokens", "cache_read_tokens")
    rows: dict[tuple, dict] = {}
    for used in ledger.usage():
        group = {"model": used.model, "server": used.server, "tier": used.tier, "needed": used.key in needed}
        row = rows.setdefault(tuple(group.values()), {"judge": judge} | group | dict.fromkeys(("calls", *counted), 0))
        row["calls"] += 1
        for name in counted:
            row[name] += getattr(used, name)
    return [rows[group] for group in sorted(rows, key=str)]
