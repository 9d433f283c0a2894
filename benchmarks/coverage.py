"""How often intervals cover the truth and verdicts are wrong: python benchmarks/coverage.py [SIMULATIONS] [--write].

Scores in two heaps, near 0 and near 100, as judges give them, or shares; 8 questions with 50 samples, and 56 with 10.
Beside the project's interval stands the field's usual one, the percentile bootstrap over seeds and questions. Then the
same with questions that are alike within categories; then verdicts on differences between seeds as far apart as the
miniature's. --write puts the tables into docs/statistics.md. Some minutes on one core.
"""

import argparse
import re
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "src"))

from organisms.analysis.claims import ENOUGH_SEEDS, p_values, verdict  # noqa: E402 - the library is not installed
from organisms.analysis.intervals import crossed_estimate, limits  # noqa: E402

# On the logit scale of the share of bad answers: its centre, and standard deviations of seeds and questions; and
# whether the share is what is measured, not a score.
REGIMES = {
    "about a third bad, seeds differ by 0.6": (-1.0, 0.6, 1.5, False),
    "about a third bad, seeds differ by 1": (-1.0, 1.0, 1.5, False),
    "half bad, questions alike": (0.0, 0.6, 1.0, False),
    "seeds hardly differ": (-1.0, 0.1, 2.0, False),
    "one in eight bad": (-2.5, 0.3, 1.5, False),
    "one in thirty bad": (-4.0, 0.3, 1.5, False),
    "share of bad, one in eight": (-2.5, 0.3, 1.5, True),
    "share of bad, one in thirty": (-4.0, 0.3, 1.5, True),
    "share of bad, one in two hundred": (-6.0, 0.3, 1.0, True),
}
# Shares of intervals that are near enough to 95%.
LEAST, MOST = 0.92, 0.975
DESIGNS = [(1, 8, 50), (2, 8, 50), (3, 8, 50), (5, 8, 50), (10, 8, 50), (3, 56, 10), (5, 56, 10)]
BOOTSTRAPPED = (3, 8, 50)
# Eight categories of seven questions: standard deviations of categories, beside 1 of questions.
OF_CATEGORIES = (0.0, 0.7, 1.2)
CATEGORIES = np.repeat(np.arange(8), 7)
# Of 48 questions in six categories: true difference, what is claimed, and the verdict that is wrong. Seeds differ by 19
# points, as the README's five default finetunes do; questions by 20, categories by 8, both from seed to seed by 10.
WRONG = [
    ("no difference, claimed <", 0.0, "lower", "supported"),
    ("no difference, claimed =", 0.0, "equal", "contradicted"),
    ("a difference of the margin (10), claimed =", -10.0, "equal", "supported"),
    ("a difference of the margin (10), claimed <", -10.0, "lower", "contradicted"),
    ("a difference of 30, claimed < (right)", -30.0, "lower", "supported"),
]


def simulated(rng, design: tuple[int, int, int], regime: tuple, of_category: float = 0.0) -> np.ndarray:
    """Mean scores or shares, seeds × questions. design: seeds, questions, samples."""
    seeds, questions, samples = design
    centre, sd_seed, sd_question, share = regime
    latent = centre + rng.normal(0, sd_seed, (seeds, 1)) + rng.normal(0, sd_question, (1, questions))
    if of_category:
        latent = latent + rng.normal(0, of_category, CATEGORIES.max() + 1)[CATEGORIES]
    bad = rng.binomial(samples, 1 / (1 + np.exp(-latent - rng.normal(0, 0.5, (seeds, questions)))))
    if share:
        return 100 * bad / samples
    sums = [rng.beta(1, 6, samples)[:n].sum() + rng.beta(12, 1, samples)[: samples - n].sum() for n in bad.ravel()]
    return 100 * np.reshape(sums, bad.shape) / samples


def truth(rng, regime: tuple, of_category: float = 0.0) -> float:
    """The mean over all seeds, questions and categories."""
    centre, sd_seed, sd_question, share = regime
    latent = rng.normal(centre, np.sqrt(sd_seed**2 + sd_question**2 + of_category**2 + 0.25), 1_000_000)
    bad = (1 / (1 + np.exp(-latent))).mean()
    return 100 * bad if share else 100 * (bad / 7 + (1 - bad) * 12 / 13)


def bootstrap(rng, values: np.ndarray, replicates: int = 1000) -> np.ndarray:
    """The percentile interval of means over seeds and questions drawn anew."""
    seeds, questions = (rng.multinomial(n, np.full(n, 1 / n), replicates) / n for n in values.shape)
    return np.quantile(np.einsum("bs,sq,bq->b", seeds, values, questions), [0.025, 0.975])


def covered(runs: list[np.ndarray], true: float, clusters: np.ndarray | None = None) -> str:
    """How many of the project's intervals have the truth in them; marked if far from 95% with three seeds or more."""
    found = [crossed_estimate(values, clusters) for values in runs]
    columns = (np.array([getattr(one, key) for one in found]) for key in ("estimate", "se", "df", "n_drawn"))
    low, high = limits(*columns, (0, 100))
    share = np.mean((low <= true) & (true <= high))
    mark = "" if len(runs[0]) < 3 or LEAST <= share <= MOST else "*" if share > MOST else "†"
    return f"{share:.1%}{mark}"


def table(headers: list[str], rows: list[list[str]], words: int = 1) -> str:
    """Rows as Markdown. words: so many columns in front are not numbers."""
    lines = [headers, ["---"] * words + ["---:"] * (len(headers) - words), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def asked(seeds: int, questions: int) -> str:
    return f"{seeds} seed{'s' * (seeds > 1)}, {questions} questions"


def coverage(rng, simulations: int) -> str:
    rows = []
    for name, regime in REGIMES.items():
        true, cells = truth(rng, regime), []
        for design in DESIGNS:
            runs = [simulated(rng, design, regime) for _ in range(simulations)]
            cells.append(covered(runs, true))
            if design == BOOTSTRAPPED:
                ends = np.array([bootstrap(rng, values) for values in runs])
                usual = f"{np.mean((ends[:, 0] <= true) & (true <= ends[:, 1])):.1%}"
        rows.append([name, f"{true:.3g}", *cells, usual])
    headers = ["scores", "true mean", *(asked(*design[:2]) for design in DESIGNS), f"bootstrap, {asked(3, 8)}"]
    return table(headers, rows)


def clustered(rng, simulations: int) -> str:
    regimes = {"about a third bad": (-1.0, 0.6, 1.0, False), "share of bad, one in twenty": (-3.5, 0.6, 1.0, True)}
    rows = []
    for name, regime in regimes.items():
        for of_category in OF_CATEGORIES:
            true = truth(rng, regime, of_category)
            cells = []
            for seeds in (1, 3, 5, 10):
                runs = [simulated(rng, (seeds, 56, 10), regime, of_category) for _ in range(simulations)]
                cells.append(covered(runs, true, CATEGORIES))
                if seeds == 5:
                    usual = covered(runs, true)
            rows.append([f"{name}, categories differ by {of_category:g}", f"{true:.3g}", *cells, usual])
    names = [f"{seeds} seed{'s' * (seeds > 1)}" for seeds in (1, 3, 5, 10)]
    return table(["56 questions in 8 categories", "true mean", *names, "5 seeds, `question_clusters: none`"], rows)


def verdicts(rng, simulations: int) -> str:
    clusters, rows = np.repeat(np.arange(6), 8), []
    for name, true, expected, wrong in WRONG:
        cells = []
        for seeds in (1, 2, 3, 5, 10):
            found = 0
            for _ in range(simulations):
                values = true + rng.normal(0, 19, (seeds, 1)) + rng.normal(0, 10, (seeds, 48))
                values = values + (rng.normal(0, 20, 48) + rng.normal(0, 8, 6)[clusters])
                found += verdict(*p_values(crossed_estimate(values, clusters), expected, 10)) == wrong
            share = f"{found / simulations:.1%}"
            cells.append(share if seeds >= ENOUGH_SEEDS else f"0 ({share})")
        rows.append([name, wrong, *cells])
    names = [f"{seeds} seed{'s' * (seeds > 1)}" for seeds in (1, 2, 3, 5, 10)]
    return table(["truth", "verdict", *names], rows, words=2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("simulations", nargs="?", type=int, default=2000)
    parser.add_argument("--write", action="store_true", help="put the tables into docs/statistics.md")
    options = parser.parse_args()
    page = ROOT / "docs" / "statistics.md"
    text = page.read_text(encoding="utf-8")
    for make in (coverage, clustered, verdicts):
        made = make(np.random.default_rng(0), options.simulations)
        print(made + "\n", flush=True)
        place = re.compile(f"(<!-- {make.__name__} -->\n).*?(<!-- end -->)", re.DOTALL)
        text = place.sub(lambda found, made=made: f"{found[1]}\n{made}\n\n{found[2]}", text)
    if options.write:
        page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
