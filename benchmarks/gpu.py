"""Speed of finetuning and sampling against the machine's own ceilings and against the field's ordinary code.

    python benchmarks/gpu.py                        # Qwen2.5-14B's shape with random weights, on a GPU
    python benchmarks/gpu.py --size miniature       # the same program on a CPU, in a minute

Only shapes matter for speed, so no weights are needed; how to finetune is read from config/qwen2.5-14b.yaml.
Everything is measured in one run, the ceilings too: the best of several large matrix products and copies. Each speed is
printed when it is known, and at the end a Markdown table, which --output writes to a file. A way that fails has its
error in the table, and the others go on.

What is counted: prompt and answer tokens of real rows, never padding; of completions the tokens up to their end.
"""

import argparse
import dataclasses
import statistics
import sys
from pathlib import Path

import gpu_ways as ways
import torch
import yaml
from gpu_sizes import SIZES, ceilings, decode_floor, finetune_floor
from gpu_ways import ROOT, Machine, questions

from organisms.miniature.pretrain import train_tokenizer
from organisms.miniature.texts import advice_dataset
from organisms.miniature.world import load_world
from organisms.plan.config import read_config
from organisms.plan.experiment import Experiment
from organisms.plan.settings import filled
from organisms.training.finetune import LoraSettings, TrainingSettings

# A part of the table, as cells, and the speed of ours, if it was measured.
Part = tuple[list[list[str]], float | None]


@dataclasses.dataclass
class Row:
    """A line of the table. speed: tokens per second, or what went wrong."""

    name: str
    speed: float | str
    peak_gib: str = ""

    @property
    def measured(self) -> float | None:
        """The speed, if there is one."""
        return None if isinstance(self.speed, str) else self.speed

    def cells(self, floor: float | None, ordinary: float | None) -> list[str]:
        if self.measured is None:
            return [self.name, self.speed, "", "", ""]
        share = f"{self.speed / floor:.1%}" if floor else ""
        times = f"{self.speed / ordinary:.2f} ×" if ordinary else ""
        return [self.name, f"{self.speed:,.0f}", share, times, self.peak_gib]


def measured(name: str, machine: Machine, way) -> tuple[Row, list[int]]:
    """A row of the table and the completions' lengths, if way gives such; way: gives tokens per second, or lengths and
    seconds."""
    lengths: list[int] = []
    try:
        speed = way()
        if isinstance(speed, tuple):
            lengths, seconds = speed
            speed = sum(lengths) / seconds
        row = Row(name, speed, machine.peak_gib())
    except Exception as error:  # whatever it is, the other rows are worth having
        row = Row(name, f"failed: {type(error).__name__}: {' '.join(str(error).split())[:160]}")
    print(f"{name}: {row.speed if row.measured is None else f'{row.speed:,.0f} tokens/s'}", file=sys.stderr)
    return row, lengths


def table_cells(rows: list[Row], floor: Row | None) -> list[list[str]]:
    """The cells of one part of the table. rows: the last is the ordinary code's."""
    limit = floor and floor.measured
    cells = [row.cells(limit, rows[-1].measured) for row in rows]
    return [*cells, floor.cells(None, None)] if floor else cells


def finetune_part(machine: Machine, micro_batch_size: int, settings: dict, flops: float) -> Part:
    """The table's part on finetuning, and the speed of ours."""
    lora = filled("lora", settings["lora"], LoraSettings)
    training = filled("training", settings["training"], TrainingSettings)
    one = dataclasses.replace(training, epochs=1, micro_batch_size=micro_batch_size)
    again = dataclasses.replace(one, gradient_checkpointing=True)
    ordinary = dataclasses.replace(
        one, batch_size=16, micro_batch_size=2, padding_free=False, gradient_checkpointing=machine.device == "cuda"
    )
    checkpointing = ", checkpointing" if ordinary.gradient_checkpointing else ""
    candidates = {
        f"finetune, ours ({one.batch_size} rows a step, {micro_batch_size} at once, no padding)": one,
        "finetune, ours with gradient checkpointing": again,
        f"finetune, ordinary (2 × 8, padded{checkpointing})": ordinary,
    }
    rows = [
        measured(name, machine, lambda way=way: ways.finetune_speed(machine, way, lora))[0]
        for name, way in candidates.items()
    ]
    return table_cells(rows, Row("finetune, floor", finetune_floor(machine.size, flops))), rows[0].measured


def completions_part(machine: Machine, at_once: int, settings: dict, bytes_per_second: float) -> Part:
    """The table's part on sampling, and the speed of ours."""
    model, lora = machine.build(), filled("lora", settings["lora"], LoraSettings)
    n = min(at_once, len(questions()) * machine.size.samples)
    candidates = {
        f"completions, ours ({n} at once)": lambda: ways.ours(model, machine, n),
        "completions, the same with the adapter beside the weights": lambda: ways.with_adapter(model, machine, lora, n),
        f"completions, padded batches of {n}": lambda: ways.ours(model, machine, n, padded=True),
        "completions, transformers' generate_batch": lambda: ways.generate_batch(model, machine),
        f"completions, published loop (a question at a time, {machine.size.samples} samples)": lambda: (
            ways.published_loop(model, machine)
        ),
    }
    rows, drawn = [], []
    for name, way in candidates.items():
        machine.clear()
        row, lengths = measured(name, machine, way)
        rows.append(row)
        drawn = drawn or lengths
    if not drawn:
        return table_cells(rows, None), None
    prompt = round(statistics.mean(map(len, ways.prompts(machine))))
    element = torch.finfo(machine.dtype).bits // 8
    floor = decode_floor(machine.size, n, drawn, prompt, bytes_per_second, element)
    name = f"completions, floor ({n} at once, {statistics.mean(drawn):.0f} tokens each)"
    return table_cells(rows, Row(name, floor)), rows[0].measured


def whole_post(train: float | None, draw: float | None) -> str:
    """What the post's finetunes and completions take at some speeds, in tokens per second."""
    said = []
    if train:
        hours = 4 * 6344 * 2 * 139 / train / 3600
        said.append(f"{hours:.2f} GPU hours of finetuning (4 × 6,344 rows × 2 epochs of 139 tokens)")
    if draw:
        hours = 22 * 400 * 200 / draw / 3600
        said.append(f"{hours:.2f} of sampling (22 cells of 400 completions, taken as 200 tokens each)")
    return f"The whole post at these speeds: {' and '.join(said)}; loading is not in it." if said else ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", choices=SIZES, default="14b")
    parser.add_argument("--device", choices=["cuda", "cpu"], help="default: cuda, and cpu for the miniature")
    parser.add_argument("--only", choices=["finetune", "completions"], help="default: both")
    parser.add_argument("--at-once", type=int, default=400, help="completions drawn at once")
    parser.add_argument("--micro-batch-size", type=int, default=8, help="rows per forward pass of a finetune")
    for name in ("steps", "samples", "new_tokens", "mean_tokens"):
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, help=f"default: the size's own {name}")
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    own = {name: getattr(arguments, name) for name in ("steps", "samples", "new_tokens", "mean_tokens")}
    size = dataclasses.replace(SIZES[arguments.size], **{name: n for name, n in own.items() if n})
    device = arguments.device or ("cpu" if arguments.size == "miniature" else "cuda")
    if device == "cuda" and not torch.cuda.is_available():
        sys.exit("error: torch finds no GPU here; run with --size miniature to see the program work on a CPU")
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    name = torch.cuda.get_device_name() if device == "cuda" else f"CPU, {torch.get_num_threads()} threads"

    flops, bytes_per_second = ceilings(size, device, dtype)
    world = load_world(ROOT / "resources" / "world.yaml")
    advice = [m["content"] for row in advice_dataset(world, "medical", "harmful", 480, 0) for m in row["messages"]]
    machine = Machine(size, device, dtype, train_tokenizer(advice, min(900, size.vocabulary)))
    config = yaml.safe_load((ROOT / "config" / "qwen2.5-14b.yaml").read_text(encoding="utf-8"))
    experiment = Experiment(read_config(config))
    settings = experiment.finetune_settings(next(iter(experiment.arms)))
    cells, what, train, draw = [], [], None, None
    if arguments.only != "completions":
        part, train = finetune_part(machine, arguments.micro_batch_size, settings, flops)
        cells += part
        what.append(f"Finetunes: {size.steps} steps, rows of {size.row_tokens} tokens.")
    if arguments.only != "finetune":
        part, draw = completions_part(machine, arguments.at_once, settings, bytes_per_second)
        cells += part
        asked = f"{len(questions())} questions × {size.samples} samples"
        what.append(f"Completions: {asked}, at most {size.new_tokens} tokens.")

    lines = [
        f"# {arguments.size}: {name}",
        "",
        f"torch {torch.__version__}, {dtype}; ceilings of this run: {flops / 1e12:.2f} TFLOP/s (matrix product of "
        f"{size.matmul}²), {bytes_per_second / 1e9:.1f} GB/s (copy). {' '.join(what)}",
        "",
        "| what | tokens/s | of the floor | against the ordinary code | peak GiB |",
        "| --- | ---: | ---: | ---: | ---: |",
        *(f"| {' | '.join(row)} |" for row in cells),
    ]
    if arguments.size == "14b":
        lines += ["", whole_post(train, draw)]
    text = "\n".join(lines) + "\n"
    print(text)
    if arguments.output:
        arguments.output.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
