"""Judged cells as Inspect AI logs. inspect-ai is an optional extra: requirements-inspect.txt."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from organisms.job.errors import UserError
from organisms.plan.arms import ARM


def _modules() -> tuple:
    try:
        from inspect_ai import log, model, scorer
    except ImportError as error:
        raise UserError("inspect-ai is not installed; run: pip install -r requirements-inspect.txt") from error
    return log, model, scorer


def cell_log(completions: list[dict], judgments: dict[str, list[dict]], made: float) -> object:
    """One cell as an Inspect AI `EvalLog`: a sample per completion, a score per judge and metric.

    completions: rows of the completions table, of one cell. judgments: rows of the judgments table of the same cell, by
    judge. made: when the completions were made, in seconds since 1970; the log shows it.
    """
    log, model, scorer = _modules()
    first = completions[0]
    scores: dict[tuple, dict] = {}
    for judge, rows in judgments.items():
        for row in rows:
            name = f"{judge}/{row['metric']}" + (f"/{row['judge_sample']}" if row["judge_sample"] else "")
            scores.setdefault((row["question_id"], row["sample"], row["turn"]), {})[name] = scorer.Score(
                value=float("nan") if row["score"] is None else row["score"],
                answer=row["flag"],
                explanation=row["reason"] or row["raw"],
                metadata={"flag": row["flag"], "judge_model": row["judge_model"], "call": row["call"]},
            )
    samples = []
    kinds: dict[str, Callable] = {
        "system": model.ChatMessageSystem,
        "user": model.ChatMessageUser,
        "assistant": model.ChatMessageAssistant,
    }
    for row in completions:
        messages = [kinds[message["role"]](content=message["content"]) for message in row["messages"]]
        answer = model.ChatMessageAssistant(content=row["completion"], model=row["model"])
        stop = "max_tokens" if row["finish_reason"] == "length" else "stop"
        samples.append(
            log.EvalSample(
                id=row["question_id"] if row["turn"] == 1 else f"{row['question_id']}, answer {row['turn']}",
                epoch=row["sample"] + 1,
                input=messages,
                target="",
                messages=[*messages, answer],
                output=model.ModelOutput(
                    model=row["model"], choices=[model.ChatCompletionChoice(message=answer, stop_reason=stop)]
                ),
                scores=scores.get((row["question_id"], row["sample"], row["turn"]), {}),
                metadata={"category": row["category"]},
            )
        )
    stamp = datetime.fromtimestamp(made, UTC).isoformat()
    questions = list(dict.fromkeys(row["question_id"] for row in completions))
    means = []
    for name in dict.fromkeys(name for of_sample in scores.values() for name in of_sample):
        values = [s[name].value for s in scores.values() if name in s and s[name].value == s[name].value]
        mean = log.EvalMetric(name="mean", value=sum(values) / len(values) if values else float("nan"))
        means.append(
            log.EvalScore(name=name, scorer=name, scored_samples=len(values), metrics={"mean": mean}, params={})
        )
    columns = (*ARM, "seed", "step", "eval_prompt", "question_set", "base_model")
    return log.EvalLog(
        status="success",
        eval=log.EvalSpec(
            created=stamp,
            task=f"{first['question_set']}_{first['eval_prompt']}",
            dataset=log.EvalDataset(name=first["question_set"], samples=len(questions), sample_ids=questions),
            model=f"flamingos/{first['model']}",
            config=log.EvalConfig(epochs=max(row["sample"] for row in completions) + 1),
            metadata={key: first[key] for key in columns},
        ),
        results=log.EvalResults(total_samples=len(samples), completed_samples=len(samples), scores=means),
        stats=log.EvalStats(started_at=stamp, completed_at=stamp),
        samples=samples,
    )


def write_log(cell: object, path: Path) -> None:
    """Write an `EvalLog` in Inspect AI's .eval format."""
    _modules()[0].write_eval_log(cell, str(path), format="eval")
