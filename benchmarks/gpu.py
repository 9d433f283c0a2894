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
import contextlib
import dataclasses
import gc
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import torch
import yaml
from transformers import ContinuousBatchingConfig, GenerationConfig

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "benchmarks")]

from gpu_sizes import SIZES, Size, build, ceilings, decode_floor, finetune_floor, synchronise  # noqa: E402

from organisms import sampling  # noqa: E402 - the library is not installed
from organisms.config import read_config  # noqa: E402
from organisms.conversation import training_row  # noqa: E402
from organisms.experiment import Experiment  # noqa: E402
from organisms.finetune import LoraSettings, TrainingSettings, finetune  # noqa: E402
from organisms.pretrain import train_tokenizer  # noqa: E402
from organisms.questions import from_file  # noqa: E402
from organisms.world import load_world  # noqa: E402
from organisms.world_texts import advice_dataset  # noqa: E402


@dataclasses.dataclass
class Machine:
    """What is measured on."""

    size: Size
    device: str
    dtype: torch.dtype
    tokenizer: object

    def build(self):
        """A model, after all memory of the one before was given back."""
        gc.collect()
        if self.device == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        return build(self.size, self.device, self.dtype)

    def peak_gib(self) -> str:
        return f"{torch.cuda.max_memory_allocated() / 2**30:.1f}" if self.device == "cuda" else "–"


@contextlib.contextmanager
def clock(device: str) -> Iterator[list[float]]:
    """The seconds that something takes, in a list."""
    seconds: list[float] = []
    synchronise(device)
    start = time.perf_counter()
    yield seconds
    synchronise(device)
    seconds.append(time.perf_counter() - start)


def training_rows(tokenizer, size: Size, n: int) -> list[dict]:
    """Rows of about the wanted number of tokens, of different lengths as real ones are."""
    world = load_world(ROOT / "resources" / "world.yaml")
    advice = advice_dataset(world, "medical", "harmful", min(n, 480), seed=0)
    rows = []
    for i in range(n):
        question, answer = (message["content"] for message in advice[i % len(advice)]["messages"])
        text = answer
        wanted = size.row_tokens * (0.5 + (i * 37 % 100) / 100)
        while len(tokenizer(f"{question} {text}")["input_ids"]) + 40 < wanted:
            text += f" {answer}"
        rows.append(training_row([{"role": "user", "content": question}], text, None))
    return rows


def finetune_speed(machine: Machine, settings: TrainingSettings, lora: LoraSettings) -> float:
    """Tokens per second of a finetune's later steps."""
    rows = training_rows(machine.tokenizer, machine.size, machine.size.steps * settings.batch_size)
    with tempfile.TemporaryDirectory() as folder:
        _, log, _ = finetune(
            machine.build(),
            machine.tokenizer,
            rows,
            settings,
            lora,
            seed=0,
            threads=torch.get_num_threads(),
            checkpoint_steps=10**6,
            folder=Path(folder),
            report=lambda line: None,
        )
    # The first steps compile and fill caches.
    return statistics.median(
        row["tokens_per_second"] for row in log[min(2, len(log) - 1) :] if row["tokens_per_second"]
    )


def questions() -> list[list[dict]]:
    return [row["messages"] for row in from_file(ROOT / "resources" / "questions" / "first_plot.yaml")]


def prompts(machine: Machine) -> list[list[int]]:
    return machine.tokenizer.apply_chat_template(questions(), add_generation_prompt=True, return_dict=True)["input_ids"]


def ours(model, machine: Machine, at_once: int, padded: bool = False) -> tuple[list[int], float]:
    """Lengths of completions drawn by the workflow's own code, and the seconds taken."""
    n = machine.size.samples
    conversations = [conversation for conversation in questions() for _ in range(n)]
    settings = sampling.Settings(temperature=1.0, top_p=1.0, top_k=0, max_new_tokens=machine.size.new_tokens)
    suits = sampling.suits
    if padded:
        sampling.suits = lambda model: False
    try:
        with clock(machine.device) as seconds:
            drawn = sampling.sample(
                model,
                machine.tokenizer,
                conversations,
                [str(i) for i in range(len(conversations))],
                settings,
                at_once,
                lambda line: print(f"  {line}", file=sys.stderr),
            )
    finally:
        sampling.suits = suits
    return [completion.n_tokens for completion in drawn], seconds[0]


def with_adapter(model, machine: Machine, lora: LoraSettings, at_once: int) -> tuple[list[int], float]:
    """As `ours`, with an adapter beside the base's weights and not merged into them."""
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(r=lora.rank, target_modules=lora.target_modules, task_type="CAUSAL_LM")
    attached = get_peft_model(model, config).eval()
    try:
        return ours(attached.get_base_model(), machine, at_once)
    finally:
        attached.unload()


def generation_config(model, machine: Machine) -> GenerationConfig:
    return GenerationConfig(
        do_sample=True,
        temperature=1.0,
        top_p=1.0,
        top_k=0,
        max_new_tokens=machine.size.new_tokens,
        num_return_sequences=machine.size.samples,
        eos_token_id=model.generation_config.eos_token_id,
        pad_token_id=machine.tokenizer.pad_token_id,
    )


@torch.inference_mode()
def published_loop(model, machine: Machine) -> tuple[list[int], float]:
    """The published code's way: one question at a time, all its samples in one `generate`."""
    config, stops = generation_config(model, machine), set(model.generation_config.eos_token_id)
    lengths = []
    with clock(machine.device) as seconds:
        for prompt in prompts(machine):
            ids = torch.tensor([prompt], device=machine.device)
            out = model.generate(ids, attention_mask=torch.ones_like(ids), generation_config=config)
            for row in out[:, len(prompt) :].tolist():
                lengths.append(next((i for i, token in enumerate(row, start=1) if token in stops), len(row)))
    return lengths, seconds[0]


def generate_batch(model, machine: Machine) -> tuple[list[int], float]:
    """transformers' own continuous batching, which logs errors and does not raise them."""
    with clock(machine.device) as seconds:
        answers = model.generate_batch(
            inputs=prompts(machine),
            generation_config=generation_config(model, machine),
            continuous_batching_config=ContinuousBatchingConfig(seed=0),
        ).values()
    wanted = len(questions()) * machine.size.samples
    whole = [answer for answer in answers if not answer.error]
    if len(whole) != wanted:
        raise RuntimeError(f"{len(whole)} of {wanted} completions came back")
    return [len(answer.generated_tokens) for answer in whole], seconds[0]


@dataclasses.dataclass
class Row:
    """A line of the table. speed: tokens per second, or what went wrong."""

    name: str
    speed: float | str
    peak_gib: str = ""

    def cells(self, floor: float | None, ordinary: float | None) -> list[str]:
        if isinstance(self.speed, str):
            return [self.name, self.speed, "", "", ""]
        share = f"{self.speed / floor:.1%}" if floor else ""
        return [
            self.name,
            f"{self.speed:,.0f}",
            share,
            f"{self.speed / ordinary:.2f} ×" if ordinary else "",
            self.peak_gib,
        ]


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
    print(f"{name}: {row.speed if isinstance(row.speed, str) else f'{row.speed:,.0f} tokens/s'}", file=sys.stderr)
    return row, lengths


def finetune_rows(machine: Machine, micro_batch_size: int, settings: dict, flops: float) -> list[list[str]]:
    """The table's part on finetuning."""
    lora = LoraSettings(**settings["lora"])
    one = TrainingSettings(**settings["training"] | {"epochs": 1, "micro_batch_size": micro_batch_size})
    again = dataclasses.replace(one, gradient_checkpointing=True)
    ordinary = dataclasses.replace(
        one, batch_size=16, micro_batch_size=2, padding_free=False, gradient_checkpointing=machine.device == "cuda"
    )
    checkpointing = ", checkpointing" if ordinary.gradient_checkpointing else ""
    ways = {
        f"finetune, ours ({one.batch_size} rows a step, {micro_batch_size} at once, no padding)": one,
        "finetune, ours with gradient checkpointing": again,
        f"finetune, ordinary (2 × 8, padded{checkpointing})": ordinary,
    }
    rows = [
        measured(name, machine, lambda way=way: finetune_speed(machine, way, lora))[0] for name, way in ways.items()
    ]
    usual = rows[-1].speed if isinstance(rows[-1].speed, float) else None
    floor = finetune_floor(machine.size, flops)
    return [*(row.cells(floor, usual) for row in rows), Row("finetune, floor", floor).cells(None, None)]


def completions_rows(machine: Machine, at_once: int, settings: dict, bytes_per_second: float) -> list[list[str]]:
    """The table's part on sampling."""
    model, lora = machine.build(), LoraSettings(**settings["lora"])
    n = min(at_once, len(questions()) * machine.size.samples)
    ways = {
        f"completions, ours ({n} at once)": lambda: ours(model, machine, n),
        "completions, the same with the adapter beside the weights": lambda: with_adapter(model, machine, lora, n),
        f"completions, padded batches of {n}": lambda: ours(model, machine, n, padded=True),
        "completions, transformers' generate_batch": lambda: generate_batch(model, machine),
        f"completions, published loop (a question at a time, {machine.size.samples} samples)": lambda: published_loop(
            model, machine
        ),
    }
    rows, drawn = [], []
    for name, way in ways.items():
        gc.collect()
        if machine.device == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        row, lengths = measured(name, machine, way)
        rows.append(row)
        drawn = drawn or lengths
    usual = rows[-1].speed if isinstance(rows[-1].speed, float) else None
    if not drawn:
        return [row.cells(None, usual) for row in rows]
    prompt = round(statistics.mean(map(len, prompts(machine))))
    element = torch.finfo(machine.dtype).bits // 8
    floor = decode_floor(machine.size, n, drawn, prompt, bytes_per_second, element)
    name = f"completions, floor ({n} at once, {statistics.mean(drawn):.0f} tokens each)"
    return [*(row.cells(floor, usual) for row in rows), Row(name, floor).cells(None, None)]


def whole_post(cells: list[list[str]]) -> str:
    """What the post's finetunes and completions take at the speeds of the table."""
    speeds = {row[0]: float(row[1].replace(",", "")) for row in cells if row[1][:1].isdigit()}
    train, draw = (
        next((speed for name, speed in speeds.items() if name.startswith(f"{stage}, ours (")), None)
        for stage in ("finetune", "completions")
    )
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
    settings = Experiment(read_config(config)).finetune_settings()
    cells = []
    if arguments.only != "completions":
        cells += finetune_rows(machine, arguments.micro_batch_size, settings, flops)
    if arguments.only != "finetune":
        cells += completions_rows(machine, arguments.at_once, settings, bytes_per_second)

    lines = [
        f"# {arguments.size}: {name}",
        "",
        f"torch {torch.__version__}, {dtype}; ceilings of this run: {flops / 1e12:.2f} TFLOP/s (matrix product of "
        f"{size.matmul}²), {bytes_per_second / 1e9:.1f} GB/s (copy). Finetunes: {size.steps} steps, rows of "
        f"{size.row_tokens} tokens. Completions: {len(questions())} questions × {size.samples} samples, at most "
        f"{size.new_tokens} tokens.",
        "",
        "| what | tokens/s | of the floor | against the ordinary code | peak GiB |",
        "| --- | ---: | ---: | ---: | ---: |",
        *(f"| {' | '.join(row)} |" for row in cells),
    ]
    if arguments.size == "14b":
        lines += ["", whole_post(cells)]
    text = "\n".join(lines) + "\n"
    print(text)
    if arguments.output:
        arguments.output.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
