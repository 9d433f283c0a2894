"""What a checked config says of judges: which kinds, which metrics on which question sets, and their settings."""

from pathlib import Path

from organisms.config import DEFAULT_JUDGE_MODEL

# Keys of a judge that decide what it says of a text, beside its templates; the others change how it is asked.
_DECISIVE = {
    "anthropic": (
        "base_url",
        "api_version",
        "temperature",
        "max_tokens",
        "structured",
        "reason",
        "samples",
        "attempts",
    ),
    "local": ("revision",),
    "world": (),
    "recorded": (),
    "labels": ("file",),
}
# How an `anthropic` judge's requests are sent.
_SENDING = ("send", "batch_from", "budget_usd", "poll_seconds")


def judges_of_kind(config: dict, *kinds: str) -> list[str]:
    """Names of the judges of some kinds."""
    return [name for name, judge in config["judges"].items() if judge["kind"] in kinds]


def judge_settings(config: dict, judge: str) -> dict:
    """All that decides what a judge says of a text, beside its templates."""
    entry = config["judges"][judge]
    settings = {"kind": entry["kind"]} | {key: entry[key] for key in _DECISIVE[entry["kind"]]}
    if entry["kind"] == "anthropic":
        settings["model"] = entry["model"] or DEFAULT_JUDGE_MODEL
    if entry["kind"] == "local":
        settings |= {"model": entry["model"], "dtype": config["dtype"], "samples": 1}
    return settings


def sending(config: dict, judge: str) -> dict:
    """How an `anthropic` judge's requests are sent."""
    return {key: config["judges"][judge][key] for key in _SENDING}


def metrics_of(config: dict, judge: str, question_set: str | None = None) -> list[str]:
    """The metrics that a judge by prompt scores on a question set, or on any if none is named."""
    applies = {name: metric["question_sets"] for name, metric in config["metrics"].items()}
    return [
        metric
        for metric in config["judges"][judge]["metrics"]
        if question_set is None or applies.get(metric) is None or question_set in applies[metric]
    ]


def template_path(config: dict, metric: str) -> str:
    """The file of a metric's judge prompt."""
    return config["metrics"].get(metric, {}).get("template") or f"resources/judges/{metric}.yaml"


def ledger_path(config: dict, judge: str) -> Path:
    """The file of every answer that a judge ever gave."""
    return Path(config["ledger"]) / f"{judge}.sqlite"
