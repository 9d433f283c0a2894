"""Verdicts on everything that is asked: from a local model, through the ledger."""

from organisms.job_log import Report
from organisms.judging.asked import Asked, usage_rows
from organisms.judging.judgments import check_missing
from organisms.judging.ledger import Response, open_ledger
from organisms.judging.local import as_text, from_text, judge_prompts
from organisms.judging.plan import ledger_path
from organisms.judging.requests import Requests
from organisms.models import base_folder, load_base, load_tokenizer


def local_verdicts(
    config: dict, judge: str, requests: Requests, asked: Asked, model_files: list[str], report: Report
) -> tuple[dict[str, dict], list[dict]]:
    """What was said to each request, by its key (`Asked.verdict_rows`), and rows of the usage table.

    judge: of kind `local`. model_files: as `models.base_folder` takes them. What a killed job found is in the ledger
    and not computed again. Raises UserError if more than max_missing of a cell's rows have no usable answer.
    """
    entry = config["judges"][judge]
    name = entry["model"] + (f"@{entry['revision']}" if entry["revision"] else "")
    with open_ledger(ledger_path(config, judge), report) as ledger:
        missing = [key for key in asked.asks if not ledger.attempts(key)]
        report(f"{asked.n_rows} judgments, {len(asked.asks)} distinct, {len(missing)} to make")
        if missing:
            folder = base_folder(model_files)
            model = load_base(folder, config["device"], config["dtype"]).eval()
            tokenizer = load_tokenizer(folder, system_role=False)
        for metric, template in requests.templates.items():
            prompts = {key: requests.prompt(asked.asks[key]) for key in missing if asked.asks[key].metric == metric}
            if prompts:
                for batch in judge_prompts(model, tokenizer, prompts, template.flags, entry["batch_size"], report):
                    ledger.add(
                        Response(key, "local", name, as_text(verdict, mass), None, n_tokens, 0, 0)
                        for key, verdict, mass, n_tokens in batch
                    )
        verdicts = {key: from_text(ledger.attempts(key)[-1][0]) for key in asked.asks}
        usage = usage_rows(judge, ledger, asked.asks)
    check_missing(asked.by_cell(verdicts), entry["max_missing"])
    return asked.verdict_rows(verdicts, dict.fromkeys(verdicts, name)), usage
