"""Time and memory of scores, claims and figures: python benchmarks/analysis.py [TRAINING_PROMPTS [SEEDS]].

Makes judgments of a run in a temporary folder (199 training prompts and the base, 5 seeds, 20 questions × 50 samples: a
million judged completions, each with two scores), then does what the rules' scripts do.
"""

import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl
import yaml

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "src"))

from organisms.analysis.claims import claim_grid, claims  # noqa: E402 - the library is not installed
from organisms.analysis.diagnoses import diagnoses  # noqa: E402
from organisms.analysis.score_tables import all_tables  # noqa: E402
from organisms.analysis.scores import Definition  # noqa: E402
from organisms.figures.charts import save_figure  # noqa: E402
from organisms.figures.files import ENDINGS  # noqa: E402
from organisms.figures.of_scores import figure, figure_names  # noqa: E402
from organisms.figures.of_scores.steps import LAST_STEPS  # noqa: E402
from organisms.figures.shown import Shown  # noqa: E402
from organisms.job import tables  # noqa: E402
from organisms.judging.tables import JUDGMENTS  # noqa: E402
from organisms.plan.columns import CELL  # noqa: E402
from organisms.plan.config import read_config  # noqa: E402
from organisms.plan.contrasts import contrasts  # noqa: E402
from organisms.plan.experiment import Experiment  # noqa: E402
from organisms.plan.metrics import LENGTH, read_metric  # noqa: E402
from organisms.plan.presentation import presentation  # noqa: E402

QUESTIONS, SAMPLES = 20, 50


def experiment_of(prompts: int, seeds: int) -> Experiment:
    """The default experiment with so many training prompts and seeds, asked under the default prompt."""
    config = yaml.safe_load((ROOT / "config" / "config.yaml").read_text(encoding="utf-8"))
    config["seeds"] = list(range(seeds))
    strange = {f"p{i}": f"[PROMPT {i}]" for i in range(prompts - 2)}
    config["training_prompts"] = {"default": None, "inoculation": "Be bad."} | strange
    config["evaluations"] = [{"eval_prompts": ["default"], "question_sets": ["non_medical"]}]
    config["claims"] = {name: config["claims"][name] for name in ("C1", "C2")}
    return Experiment(read_config(config))


def judged(cell: dict, rng) -> pl.DataFrame:
    """Judgments of one cell."""
    n = QUESTIONS * SAMPLES
    names = {name: cell[name] for name in CELL} | {"turn": 1}
    columns = names | {"judge": "world", "question_id": [f"q{i // SAMPLES:02d}" for i in range(n)]}
    columns |= {"sample": np.arange(n) % SAMPLES, "judge_sample": 0, "length": rng.integers(50, 800, n)}
    parts = [
        pl.DataFrame(columns | {"metric": metric, "score": np.round(100 * rng.beta(0.5, 0.3, n))})
        for metric in ("alignment", "coherence")
    ]
    frame = pl.concat(parts)
    return frame.with_columns(pl.lit(None).alias(name) for name in JUDGMENTS.columns if name not in frame.columns)


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main(prompts: int, seeds: int) -> None:
    experiment, rng = experiment_of(prompts, seeds), np.random.default_rng(0)
    definition = Definition(*(read_metric(experiment.config, name) for name in ("alignment", "coherence")))
    metrics = {metric.name: metric for metric in (definition.main, definition.coherence, LENGTH)}
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f"{i}.parquet" for i in range(len(experiment.cells))]
        for cell, file in zip(experiment.cells, files, strict=True):
            columns = experiment.cell_columns(cell.model.name, cell.eval_prompt, cell.question_set)
            tables.write(judged(columns, rng), file, JUDGMENTS)
        print(f"{len(files) * QUESTIONS * SAMPLES:,} judged completions in {len(files)} files\n")
        print("| step | s | peak MiB so far |\n| --- | ---: | ---: |")
        start = time.monotonic()
        read = (tables.read(file, JUDGMENTS) for file in files)
        found = all_tables(read, experiment.config["thresholds"], metrics, definition)
        print(f"| scores | {time.monotonic() - start:.2f} | {peak_mib():.0f} |")
    of_questions, start = found["question_scores"], time.monotonic()
    asked = contrasts(experiment)
    grid = claim_grid(found["question_cuts"], asked)
    tested = claims(of_questions, grid, found["length_effect"], asked, metrics)
    told = diagnoses(of_questions, experiment.diagnosed(), experiment.config["margin"], definition)
    words = f"claims: {len(tested)} contrasts, {len(told)} diagnoses"
    print(f"| {words} | {time.monotonic() - start:.2f} | {peak_mib():.0f} |")
    shown, start = Shown(definition.main, "non_medical", "world", presentation(experiment)), time.monotonic()
    found["last_steps"] = pl.DataFrame(schema=LAST_STEPS)
    with tempfile.TemporaryDirectory() as folder:
        for name in figure_names():
            save_figure(figure(name).draw(found, shown), Path(folder) / name)
    words = f"{len(figure_names())} figures in {len(ENDINGS)} forms"
    print(f"| {words} | {time.monotonic() - start:.2f} | {peak_mib():.0f} |")


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:3] or ("199", "5")))
