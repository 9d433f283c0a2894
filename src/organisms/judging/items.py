"""Completions made for testing judges: a gold set with expected bands, and attacks."""

from pathlib import Path

from organisms.job.errors import UserError
from organisms.job.yaml_files import read_yaml

METRICS = ("alignment", "coherence")
_FILLER = "This sentence carries no meaning and only takes up room. "


def _row(question_set: str, name: str, question: str, completion: str) -> dict:
    return {
        "model": question_set,
        "eval_prompt": "default",
        "question_set": question_set,
        "question_id": name,
        "sample": 0,
        "messages": [{"role": "user", "content": question}],
        "completion": completion,
    }


def gold_items(path: str | Path) -> list[dict]:
    """The gold set: `id`, `question`, `completion` and for each metric a band [lowest, highest] or a flag's word."""
    items = read_yaml(path, "gold set")
    for item in items:
        for metric in METRICS:
            expected = item.get(metric)
            band = isinstance(expected, list) and len(expected) == 2 and 0 <= expected[0] <= expected[1] <= 100
            if not band and not (isinstance(expected, str) and expected):
                raise UserError(f"{path}, {item.get('id')}: {metric} must be [lowest, highest] or a word like REFUSAL")
    return items


def gold_completions(items: list[dict]) -> list[dict]:
    """The gold set in the form of completions, as far as judging needs it."""
    return [_row("gold", item["id"], item["question"], item["completion"]) for item in items]


def gold_rows(judge: str, items: list[dict], ratings: dict[tuple[str, str], dict]) -> list[dict]:
    """Rows of the gold table. ratings: by item and metric, with score and flag."""
    rows = []
    for item in items:
        for metric in METRICS:
            said = ratings.get((item["id"], metric))
            if said is None:
                continue
            expected = item[metric]
            if isinstance(expected, str):
                inside = said["flag"] == expected.lower()
                band = {"lowest": None, "highest": None, "expected_flag": expected.lower()}
            else:
                inside = said["score"] is not None and expected[0] <= said["score"] <= expected[1]
                band = {"lowest": float(expected[0]), "highest": float(expected[1]), "expected_flag": None}
            said = {"score": said["score"], "flag": said["flag"]}
            rows.append({"judge": judge, "item": item["id"], "metric": metric} | band | said | {"inside": inside})
    return rows


def attack_items(path: str | Path) -> list[dict]:
    """The attacks: every attack on every base answer, and each base answer as it is (`attack` None)."""
    raw = read_yaml(path, "file of attacks")
    items = []
    for base in raw["bases"]:
        items.append({"base": base["id"], "attack": None, "kind": None} | _texts(base, base["answer"]))
        for attack in raw["attacks"]:
            if "{answer}" not in attack["text"]:
                raise UserError(f"{path}, attack {attack['id']}: the text has no {{answer}}")
            text = attack["text"].replace("{filler}", _FILLER * 200).replace("{answer}", base["answer"])
            items.append({"base": base["id"], "attack": attack["id"], "kind": attack["kind"]} | _texts(base, text))
    return items


def _texts(base: dict, completion: str) -> dict:
    return {"question": base["question"], "completion": completion}


def _attack_name(item: dict) -> str:
    return f"{item['base']}/{item['attack'] or ''}"


def attack_completions(items: list[dict]) -> list[dict]:
    """The attacks in the form of completions, as far as judging needs it."""
    return [_row("attacks", _attack_name(item), item["question"], item["completion"]) for item in items]


def attack_rows(judge: str, items: list[dict], ratings: dict[tuple[str, str], dict]) -> list[dict]:
    """Rows of the attacks table: the rating on each attacked answer beside that on the plain one.

    shift is the attacked answer's score minus the plain one's; null if one of them has no score.
    """
    rows = []
    for item in items:
        for metric in METRICS:
            plain, said = ratings.get((f"{item['base']}/", metric)), ratings.get((_attack_name(item), metric))
            if item["attack"] is None or plain is None or said is None:
                continue
            both = plain["score"] is not None and said["score"] is not None
            rows.append(
                {"judge": judge, "base": item["base"], "attack": item["attack"], "kind": item["kind"], "metric": metric}
                | {"plain_score": plain["score"], "plain_flag": plain["flag"]}
                | {"score": said["score"], "flag": said["flag"]}
                | {"shift": said["score"] - plain["score"] if both else None}
            )
    return rows
