"""How often 95% intervals cover the truth: python benchmarks/coverage.py [SIMULATIONS].

Scores in two heaps, near 0 and near 100, as judges give them; 8 questions with 50 samples, and 56 with 10. Beside the
project's interval stands the field's usual one, the percentile bootstrap over seeds and questions.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

from organisms.analysis.intervals import crossed_estimate, limits

# On the logit scale of the share of bad answers: its centre, and standard deviations of seeds and questions.
REGIMES = {
    "about a third bad, seeds differ by 0.6": (-1.0, 0.6, 1.5),
    "about a third bad, seeds differ by 1": (-1.0, 1.0, 1.5),
    "half bad, questions alike": (0.0, 0.6, 1.0),
    "seeds hardly differ": (-1.0, 0.1, 2.0),
    "one in eight bad": (-2.5, 0.3, 1.5),
    "one in thirty bad": (-4.0, 0.3, 1.5),
}


def simulated(rng, design: tuple[int, int, int], centre: float, sd_seed: float, sd_question: float) -> np.ndarray:
    """Mean scores, seeds × questions. design: seeds, questions, samples."""
    seeds, questions, samples = design
    latent = centre + rng.normal(0, sd_seed, (seeds, 1)) + rng.normal(0, sd_question, (1, questions))
    bad = rng.binomial(samples, 1 / (1 + np.exp(-latent - rng.normal(0, 0.5, (seeds, questions)))))
    sums = [rng.beta(1, 6, samples)[:n].sum() + rng.beta(12, 1, samples)[: samples - n].sum() for n in bad.ravel()]
    return 100 * np.reshape(sums, bad.shape) / samples


def truth(rng, centre: float, sd_seed: float, sd_question: float) -> float:
    """The mean over all seeds and questions."""
    latent = rng.normal(centre, np.sqrt(sd_seed**2 + sd_question**2 + 0.25), 1_000_000)
    share = (1 / (1 + np.exp(-latent))).mean()
    return 100 * (share / 7 + (1 - share) * 12 / 13)


def bootstrap(rng, values: np.ndarray, replicates: int = 1000) -> np.ndarray:
    """The percentile interval of means over seeds and questions drawn anew."""
    seeds, questions = (rng.multinomial(n, np.full(n, 1 / n), replicates) / n for n in values.shape)
    return np.quantile(np.einsum("bs,sq,bq->b", seeds, values, questions), [0.025, 0.975])


DESIGNS = [(2, 8, 50), (3, 8, 50), (5, 8, 50), (10, 8, 50), (5, 56, 10)]
BOOTSTRAPPED = (3, 8, 50)


def main(simulations: int) -> None:
    names = [f"{seeds} seeds, {questions} questions" for seeds, questions, _ in DESIGNS]
    print(f"| scores | true mean | {' | '.join(names)} | bootstrap, 3 seeds, 8 questions |")
    print("| --- | ---: |" + " ---: |" * (len(DESIGNS) + 1))
    rng = np.random.default_rng(0)
    for name, regime in REGIMES.items():
        true, cells = truth(rng, *regime), []
        for design in DESIGNS:
            runs = [simulated(rng, design, *regime) for _ in range(simulations)]
            found = [crossed_estimate(values) for values in runs]
            columns = (
                np.array([getattr(one, key) for one in found]) for key in ("estimate", "se", "df", "n_questions")
            )
            low, high = limits(*columns, (0, 100))
            cells.append(f"{np.mean((low <= true) & (true <= high)):.1%}")
            if design == BOOTSTRAPPED:
                ends = np.array([bootstrap(rng, values) for values in runs])
                usual = f"{np.mean((ends[:, 0] <= true) & (true <= ends[:, 1])):.1%}"
        print(f"| {name} | {true:.0f} | {' | '.join(cells)} | {usual} |", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2000)
