"""Speed of finetuning and sampling against the machine's own ceilings and against the field's ordinary code.

    python benchmarks/gpu.py                        # Qwen2.5-14B's shape with random weights, on a GPU
    python benchmarks/gpu.py --size miniature       # the same program on a CPU, in a minute

Only shapes matter for speed, so no weights are needed; how to finetune is read from config/qwen2.5-14b.yaml.
Everything is measured in one run, the ceilings too: the best of several large matrix products and copies. Prints a
Markdown table; --output writes it to a file.

What is counted: prompt and answer tokens of real rows, never padding. Floating point operations per token of LoRA
finetuning with a frozen base of N matrix weights: forward 2N, backward through the activations 2N, and 2N more if
activations are recomputed; the adapter's own are left out (1% of it). A decoding step must read all weights and the
cache of every sequence.
"""

import argparse
import dataclasses
import statistics
import sys
import tempfile
import time
from pathlib import Path

import torch
import yaml
from transformers import GenerationConfig, Qwen2Config, Qwen2ForCausalLM

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "src"))

from organisms.config import read_config  # noqa: E402
from organisms.conversation import training_row  # noqa: E402 - the library is not installed
from organisms.experiment import Experiment  # noqa: E402
from organisms.finetune import LoraSettings, TrainingSettings, finetune  # noqa: E402
from organisms.pretrain import train_tokenizer  # noqa: E402
from organisms.sampling import Settings, sample  # noqa: E402
from organisms.world import load_world  # noqa: E402
from organisms.world_texts import advice_dataset  # noqa: E402


@dataclasses.dataclass(frozen=True)
class Size:
    """A model's shape and how much is measured on it."""

    layers: int
    hidden: int
    intermediate: int
    heads: int
    key_value_heads: int
    vocabulary: int
    row_tokens: int
    steps: int
    new_tokens: int
    samples: int
    matmul: int


SIZES = {
    "14b": Size(48, 5120, 13824, 40, 8, 152064, 139, 12, 600, 50, 8192),
    "0.5b": Size(24, 896, 4864, 14, 2, 151936, 139, 12, 600, 50, 8192),
    "miniature": Size(3, 96, 288, 4, 2, 900, 80, 6, 48, 50, 1024),
}


def build(size: Size, device: str, dtype: torch.dtype) -> Qwen2ForCausalLM:
    """A model of this shape with random weights."""
    config = Qwen2Config(
        vocab_size=size.vocabulary,
        hidden_size=size.hidden,
        intermediate_size=size.intermediate,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        num_key_value_heads=size.key_value_heads,
        max_position_embeddings=4096,
        tie_word_embeddings=False,
        dtype=dtype,
        attn_implementation="sdpa",
    )
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device(device):
            return Qwen2ForCausalLM(config).eval()
    finally:
        torch.set_default_dtype(before)


def synchronise(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def best_seconds(function, device: str, repeats: int = 8) -> float:
    """The shortest of several runs: a ceiling is what the machine can do, not what it does on average."""
    seconds = []
    for _ in range(repeats):
        synchronise(device)
        start = time.perf_counter()
        function()
        synchronise(device)
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def ceilings(size: Size, device: str, dtype: torch.dtype) -> tuple[float, float]:
    """Floating point operations and bytes per second of a large matrix product and a large copy."""
    n = size.matmul
    a, b = (torch.randn(n, n, device=device, dtype=dtype) for _ in range(2))
    flops = 2 * n**3 / best_seconds(lambda: a @ b, device)
    # Larger than any cache.
    source = torch.empty(2**29, device=device, dtype=torch.uint8)
    target = torch.empty_like(source)
    return flops, 2 * source.numel() / best_seconds(lambda: target.copy_(source), device)


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


def peak_gib(device: str) -> str:
    return f"{torch.cuda.max_memory_allocated() / 2**30:.1f}" if device == "cuda" else "–"


def measure_finetune(
    size: Size, device: str, dtype: torch.dtype, tokenizer, settings: TrainingSettings, lora: LoraSettings
):
    """Tokens per second of a finetune's later steps, and its peak memory."""
    model = build(size, device, dtype)
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    rows = training_rows(tokenizer, size, size.steps * settings.batch_size)
    with tempfile.TemporaryDirectory() as folder:
        _, log, _ = finetune(
            model, tokenizer, rows, settings, lora, 0, torch.get_num_threads(), 10**6, Path(folder), lambda line: None
        )
    # The first steps compile and fill caches.
    return statistics.median(row["tokens_per_second"] for row in log[2:]), peak_gib(device)


def questions() -> list[str]:
    from organisms.questions import from_file

    rows = from_file(ROOT / "resources" / "questions" / "first_plot.yaml")
    return [row["messages"][0]["content"] for row in rows]


def measure_completions(model, tokenizer, size: Size, device: str, batch_size: int) -> float:
    """Tokens per second of the workflow's own sampling over all questions and samples."""
    conversations = [[{"role": "user", "content": text}] for text in questions() for _ in range(size.samples)]
    settings = Settings(temperature=1.0, top_p=1.0, top_k=0, max_new_tokens=size.new_tokens)
    keys = [str(i) for i in range(len(conversations))]
    synchronise(device)
    start = time.perf_counter()
    drawn = sample(model, tokenizer, conversations, keys, settings, batch_size, lambda line: None)
    synchronise(device)
    return sum(completion.n_tokens for completion in drawn) / (time.perf_counter() - start)


@torch.inference_mode()
def measure_published_loop(model, tokenizer, size: Size, device: str) -> float:
    """Tokens per second of the published code's way: one question at a time, all its samples in one `generate`."""
    generation = GenerationConfig(
        do_sample=True,
        temperature=1.0,
        top_p=1.0,
        top_k=0,
        max_new_tokens=size.new_tokens,
        num_return_sequences=size.samples,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    n_tokens = 0
    synchronise(device)
    start = time.perf_counter()
    for text in questions():
        inputs = tokenizer.apply_chat_template(
            [{"role": "user", "content": text}], add_generation_prompt=True, return_dict=True, return_tensors="pt"
        ).to(device)
        out = model.generate(**inputs, generation_config=generation)[:, inputs["input_ids"].shape[1] :]
        n_tokens += int((out != tokenizer.pad_token_id).sum())
    synchronise(device)
    return n_tokens / (time.perf_counter() - start)


def decode_floor(model, size: Size, batch: int, context: int, bytes_per_second: float, element: int) -> float:
    """Tokens per second if a step only read the weights once and every sequence's cache."""
    weights = sum(p.numel() for name, p in model.named_parameters() if "embed_tokens" not in name) * element
    cache = 2 * size.layers * size.key_value_heads * (size.hidden // size.heads) * context * element
    return batch * bytes_per_second / (weights + batch * cache)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", choices=SIZES, default="14b")
    parser.add_argument("--device", choices=["cuda", "cpu"], help="default: cuda, and cpu for the miniature")
    parser.add_argument("--batch-size", type=int, default=400, help="completions drawn at once")
    parser.add_argument("--micro-batch-size", type=int, default=8, help="rows per forward pass of a finetune")
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    size = SIZES[arguments.size]
    device = arguments.device or ("cpu" if arguments.size == "miniature" else "cuda")
    if device == "cuda" and not torch.cuda.is_available():
        sys.exit("error: torch finds no GPU here; run with --size miniature to see the program work on a CPU")
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    name = torch.cuda.get_device_name() if device == "cuda" else f"CPU, {torch.get_num_threads()} threads"

    flops, bytes_per_second = ceilings(size, device, dtype)
    world = load_world(ROOT / "resources" / "world.yaml")
    advice = [m["content"] for row in advice_dataset(world, "medical", "harmful", 480, 0) for m in row["messages"]]
    tokenizer = train_tokenizer(advice, min(900, size.vocabulary))

    config = yaml.safe_load((ROOT / "config" / "qwen2.5-14b.yaml").read_text(encoding="utf-8"))
    settings = Experiment(read_config(config)).finetune_settings()
    lora = LoraSettings(**settings["lora"])
    ours = TrainingSettings(**settings["training"] | {"epochs": 1, "micro_batch_size": arguments.micro_batch_size})
    ordinary = dataclasses.replace(
        ours, batch_size=16, micro_batch_size=2, padding_free=False, gradient_checkpointing=device == "cuda"
    )
    ours_speed, ours_peak = measure_finetune(size, device, dtype, tokenizer, ours, lora)
    ordinary_speed, ordinary_peak = measure_finetune(size, device, dtype, tokenizer, ordinary, lora)

    model = build(size, device, dtype)
    matrix_weights = sum(p.numel() for name_, p in model.named_parameters() if p.dim() == 2 and "embed" not in name_)
    train_floor = flops / (4 * matrix_weights)
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    sampled = measure_completions(model, tokenizer, size, device, arguments.batch_size)
    sampled_peak = peak_gib(device)
    published = measure_published_loop(model, tokenizer, size, device)
    n = min(arguments.batch_size, 8 * size.samples)
    element = torch.finfo(dtype).bits // 8
    sample_floor = decode_floor(model, size, n, size.new_tokens // 2, bytes_per_second, element)

    lines = [
        f"# {arguments.size}: {name}",
        "",
        f"torch {torch.__version__}, {dtype}; ceilings of this run: {flops / 1e12:.2f} TFLOP/s (matrix product of "
        f"{size.matmul}²), {bytes_per_second / 1e9:.1f} GB/s (copy).",
        "",
        "| what | tokens/s | of the floor | against the ordinary code | peak GiB |",
        "| --- | ---: | ---: | ---: | ---: |",
        f"| finetune, ours (32 rows a step, {ours.micro_batch_size} at once, no padding) | {ours_speed:,.0f} | "
        f"{ours_speed / train_floor:.1%} | {ours_speed / ordinary_speed:.2f} × | {ours_peak} |",
        f"| finetune, ordinary (2 × 8, padded{', checkpointing' if ordinary.gradient_checkpointing else ''}) | "
        f"{ordinary_speed:,.0f} | {ordinary_speed / train_floor:.1%} | 1 × | {ordinary_peak} |",
        f"| finetune, floor | {train_floor:,.0f} | | | |",
        f"| completions, ours ({n} at once) | {sampled:,.0f} | {sampled / sample_floor:.1%} | "
        f"{sampled / published:.2f} × | {sampled_peak} |",
        f"| completions, published loop (a question at a time, {size.samples} samples) | {published:,.0f} | "
        f"{published / sample_floor:.1%} | 1 × | |",
        f"| completions, floor | {sample_floor:,.0f} | | | |",
    ]
    if arguments.size == "14b":
        finetuning = 4 * 6344 * 2 * 139 / ours_speed / 3600
        sampling = 22 * 400 * 200 / sampled / 3600
        lines += [
            "",
            f"The whole post at these speeds: {finetuning:.2f} GPU hours of finetuning (4 × 6,344 rows × 2 epochs of "
            f"139 tokens) and {sampling:.2f} of sampling (22 cells of 400 completions, taken as 200 tokens each); "
            "loading is not in it.",
        ]
    text = "\n".join(lines) + "\n"
    print(text)
    if arguments.output:
        arguments.output.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
