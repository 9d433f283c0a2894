"""For gpu.py: the ways to finetune and to sample that are compared, ours and others."""

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
from transformers import ContinuousBatchingConfig, GenerationConfig, PreTrainedTokenizerBase, Qwen2ForCausalLM

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "src"))

from gpu_sizes import Size, build, synchronise  # noqa: E402

from organisms.data.questions import from_file  # noqa: E402 - the library is not installed
from organisms.miniature.texts import advice_dataset  # noqa: E402
from organisms.miniature.world import load_world  # noqa: E402
from organisms.models import sampling  # noqa: E402
from organisms.models.padded_batches import length_of  # noqa: E402
from organisms.models.settings import Sampling  # noqa: E402
from organisms.plan.prompts import placed, training_row  # noqa: E402
from organisms.training.finetune import LoraSettings, TrainingSettings, finetune  # noqa: E402


@dataclasses.dataclass
class Machine:
    """What is measured on, and the tokenizer of all ways."""

    size: Size
    device: str
    dtype: torch.dtype
    tokenizer: PreTrainedTokenizerBase

    def clear(self) -> None:
        """Give all unused memory back and forget its peak."""
        gc.collect()
        if self.device == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()

    def build(self) -> Qwen2ForCausalLM:
        """A model, when the memory of the one before has been given back."""
        self.clear()
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
        row = {"row": i, "prompt": [{"role": "user", "content": question}], "answer": text}
        rows.append(training_row(row, placed([{"text": None}])))
    return rows


def finetune_speed(machine: Machine, settings: TrainingSettings, lora: LoraSettings) -> float:
    """Tokens per second of a finetune's later steps."""
    rows = training_rows(machine.tokenizer, machine.size, machine.size.steps * settings.batch_size)
    with tempfile.TemporaryDirectory() as folder:
        _, log, took = finetune(
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
    if took.gradient_checkpointing != settings.gradient_checkpointing:
        raise RuntimeError(f"out of memory with {settings.micro_batch_size} rows at once")
    # The first steps compile and fill caches.
    return statistics.median(row["tokens_per_second"] for row in log[2:])


def questions() -> list[list[dict]]:
    return [row["messages"] for row in from_file(ROOT / "resources" / "questions" / "first_plot.yaml")]


def prompts(machine: Machine) -> list[list[int]]:
    return machine.tokenizer.apply_chat_template(questions(), add_generation_prompt=True, return_dict=True)["input_ids"]


def ours(model, machine: Machine, at_once: int, padded: bool = False) -> tuple[list[int], float]:
    """Lengths of completions drawn by the workflow's own code, and the seconds taken."""
    n = machine.size.samples
    conversations = [conversation for conversation in questions() for _ in range(n)]
    settings = Sampling(temperature=1.0, top_p=1.0, top_k=0, max_new_tokens=machine.size.new_tokens)
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
    asked, lengths = prompts(machine), []
    with clock(machine.device) as seconds:
        for prompt in asked:
            ids = torch.tensor([prompt], device=machine.device)
            out = model.generate(ids, attention_mask=torch.ones_like(ids), generation_config=config)
            lengths += [length_of(row, stops) for row in out[:, len(prompt) :].tolist()]
    return lengths, seconds[0]


def generate_batch(model, machine: Machine) -> tuple[list[int], float]:
    """transformers' own continuous batching, which logs errors and does not raise them."""
    asked = prompts(machine)
    with clock(machine.device) as seconds:
        answers = model.generate_batch(
            inputs=asked,
            generation_config=generation_config(model, machine),
            # Its cache takes a share of the memory; writing zeros into most of a CPU's would be half of the time.
            continuous_batching_config=ContinuousBatchingConfig(
                seed=0, max_memory_percent=0.1 if machine.device == "cpu" else None
            ),
        ).values()
    wanted = len(asked) * machine.size.samples
    whole = [answer for answer in answers if not answer.error]
    if len(whole) != wanted:
        raise RuntimeError(f"{len(whole)} of {wanted} completions came back")
    return [len(answer.generated_tokens) for answer in whole], seconds[0]
