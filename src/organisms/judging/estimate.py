"""What judging would cost, before anything is spent."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from organisms.completions.tables import COMPLETIONS
from organisms.data.conversations import n_answers, until_answer
from organisms.data.tables import QUESTIONS
from organisms.job import tables
from organisms.judging.asked import collect
from organisms.judging.collecting import references_in
from organisms.judging.judgments import judged_numbers, judged_rows
from organisms.judging.kind import ledger_path, open_judge
from organisms.judging.ledger import open_ledger
from organisms.judging.prices import Prices, load_prices
from organisms.judging.purchase import rating_so_far, spent_so_far
from organisms.judging.requests import Ask, question_text
from organisms.plan.experiment import Experiment

# Where nothing was measured: bytes of English text per token, tokens of the frame around a request that its text does
# not show, and tokens of an answer without a reason and with one. Ours, on the safe side.
BYTES_PER_TOKEN, OVERHEAD_TOKENS, ANSWER_TOKENS, ANSWER_TOKENS_WITH_REASON = 3.5, 150, 25, 60


@dataclass(frozen=True)
class Estimate:
    """n_rows: judgments of completions that are there. distinct, missing: distinct requests among them, and those that
    the ledger has no answer to. n_planned: judgments of completions that are not there yet, at most so many requests.

    input_tokens, output_tokens: of missing and planned requests. measured: whether tokens per byte come from answers in
    the ledger. usd: by tier, None if the model has no price. spent: dollars in the ledger.
    """

    model: str
    n_rows: int
    distinct: int
    missing: int
    n_planned: int
    input_tokens: float
    output_tokens: float
    measured: bool
    usd: dict[str, float | None]
    spent: float
    budget_usd: float | None


def estimate(config: dict, judge: str, cells: Iterable[tuple[str, str]], questions: list[str]) -> Estimate:
    """The cost of judging what is missing now by one judge that is paid.

    cells: question set and path of the completions, which need not be there. questions: tables of all question sets.
    """
    kind = open_judge(config, judge)
    requests, entry = kind.requests(), kind.entry
    settings, answers = requests.settings, Experiment(config).judged_answers()
    prices: Prices = load_prices(config["prices"])
    question_tables = {Path(path).stem: tables.read(path, QUESTIONS).to_dicts() for path in questions}
    metrics = {question_set: kind.metrics(question_set) for question_set, _ in cells}
    there = [path for _, path in cells if Path(path).exists()]
    rows = (judged_rows(tables.read(path, COMPLETIONS).to_dicts(), answers) for path in there)
    asked = collect(requests, rows, metrics, references_in(questions))

    missing, rates, answer, spent = list(asked.asks), None, None, 0.0
    if ledger_path(config, judge).exists():
        with open_ledger(ledger_path(config, judge)) as ledger:
            rates, answer = ledger.tokens_per_byte(), ledger.mean_output_tokens()
            spent = spent_so_far(ledger, prices, settings["model"])
            missing = [
                key
                for key, ask in asked.asks.items()
                if rating_so_far(ledger, key, requests.templates[ask.metric], settings["attempts"]) is None
            ]
    prompts = [requests.prompt(asked.asks[key]) for key in missing]
    n_bytes = sum(len(prompt.encode()) for prompt in prompts)

    n_planned = 0
    # An answer that is not there yet is taken to be as long as it may be.
    longest = "x" * int(BYTES_PER_TOKEN * config["sampling"]["max_new_tokens"])
    for question_set in (question_set for question_set, path in cells if not Path(path).exists()):
        own = config["question_sets"][question_set]["samples_per_question"]
        samples = (own or config["sampling"]["samples_per_question"]) * requests.samples
        for question in question_tables[question_set]:
            script = question["messages"]
            for number in judged_numbers(answers.get(question_set, "last"), n_answers(script)):
                text = question_text(until_answer(script, [longest] * (number - 1)))
                for metric in metrics[question_set]:
                    n_planned += samples
                    ask = Ask(metric, text, longest, question["reference"] or "", 0)
                    n_bytes += samples * len(requests.prompt(ask).encode())

    n_calls = len(missing) + n_planned
    guess = ANSWER_TOKENS_WITH_REASON if settings["reason"] else ANSWER_TOKENS
    given = n_bytes * rates[0] if rates else n_bytes / BYTES_PER_TOKEN + OVERHEAD_TOKENS * n_calls
    taken = n_calls * (answer or guess)
    usd = {tier: prices.dollars(settings["model"], tier, given, taken) for tier in ("live", "batch")}
    return Estimate(
        *(settings["model"], asked.n_rows, len(asked.asks), len(missing), n_planned),
        *(given, taken, rates is not None, usd, spent, entry["budget_usd"]),
    )


def estimate_text(judge: str, found: Estimate) -> list[str]:
    """An estimate in words, line by line."""
    lines = [
        f"judge '{judge}' ({found.model})",
        f"  completions there: {found.n_rows:,} judgments, {found.distinct:,} distinct, {found.missing:,} to buy",
        f"  completions to come: {found.n_planned:,} judgments, at most so many requests to buy",
        f"  tokens: about {found.input_tokens:,.0f} in, {found.output_tokens:,.0f} out "
        + ("(by this judge's answers so far)" if found.measured else "(assumed: nothing measured yet)"),
    ]
    if found.usd["live"] is None:
        lines.append("  dollars: unknown, the prices file has no price of this model")
    else:
        lines.append(f"  dollars: about {found.usd['live']:.2f} live, {found.usd['batch']:.2f} in batches")
    if found.budget_usd is not None:
        lines.append(f"  budget_usd {found.budget_usd:g}, of which {found.spent:.2f} are spent")
    elif found.spent:
        lines.append(f"  spent so far: {found.spent:.2f}")
    return lines
