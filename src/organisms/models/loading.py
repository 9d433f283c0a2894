"""Loading a base model, its tokenizer and an adapter: one way for the miniature and for published models.

Models are loaded from folders; nothing here asks a model hub.
"""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from organisms.job.errors import UserError

_PROBE = "a system prompt that the template must show"


def base_folder(files: list[str]) -> str:
    """The folder of a base model, from the files that stand for it: its own, or the note of a fetched snapshot.

    Raises UserError if the snapshot is no longer there or the note is damaged.
    """
    first = Path(files[0])
    if first.name != "model.json":
        return str(first.parent)
    try:
        folder = json.loads(first.read_text(encoding="utf-8"))["folder"]
    except (ValueError, KeyError) as error:
        raise UserError(f"{first}: damaged ({error}); delete it and run again") from error
    if not Path(folder).is_dir():
        raise UserError(f"{first}: the model that it notes is no longer in {folder}; delete this file and run again")
    return folder


def check_device(device: str) -> None:
    """Raise UserError if the config's device is not here: before anything is loaded or fetched for it."""
    if device == "cuda" and not torch.cuda.is_available():
        raise UserError(
            "device is 'cuda' in the config, but torch finds no GPU here; set device: cpu or use a GPU node"
        )


def check_files(folder: str | Path) -> None:
    """Raise UserError, naming the file, if a JSON or safetensors file of a model or adapter folder is damaged.

    Of safetensors the header is read, which says how long the file has to be.
    """
    for path in sorted(Path(folder).glob("*.json")) + sorted(Path(folder).glob("*.safetensors")):
        try:
            if path.suffix == ".json":
                json.loads(path.read_text(encoding="utf-8"))
            else:
                with safe_open(path, framework="pt"):
                    pass
        except (ValueError, SafetensorError, OSError) as error:
            reason = " ".join(str(error).split())[:120]
            raise UserError(
                f"{path}: damaged ({reason}); delete it and run again if the workflow made it, else get it anew"
            ) from error


@contextmanager
def _no_unasked_code(folder: str) -> Iterator[None]:
    """Say in one line that a model wants to run code of its own."""
    try:
        yield
    except ValueError as error:
        if "trust_remote_code" not in str(error):
            raise
        raise UserError(
            f"model {folder} comes with Python code of its own, which is not run; read it first, and to run it set "
            "base_model.trust_remote_code: true"
        ) from error


def load_tokenizer(folder: str, system_role: bool = True, trust_remote_code: bool = False) -> PreTrainedTokenizerBase:
    """The tokenizer of a model folder, padding on the left.

    Raises UserError if a file in it is damaged, or if it has no chat template, or one without a system role: without it
    no training prompt could be told from another. system_role: False for a model that needs none, as a judge.
    trust_remote_code: whether Python code in the folder may run.
    """
    check_files(folder)
    with _no_unasked_code(folder):
        tokenizer = AutoTokenizer.from_pretrained(
            folder, padding_side="left", local_files_only=True, trust_remote_code=trust_remote_code
        )
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    if not tokenizer.chat_template:
        raise UserError(f"model {folder} has no chat template; choose an instruction-tuned model")
    if not system_role:
        return tokenizer
    messages = [{"role": "system", "content": _PROBE}, {"role": "user", "content": "Hello"}]
    try:
        shown = _PROBE in tokenizer.apply_chat_template(messages, tokenize=False)
    except Exception:  # a template may raise anything; Jinja's own error says less than ours
        shown = False
    if not shown:
        raise UserError(f"base model {folder}: its chat template has no system role, so training prompts have no place")
    return tokenizer


def load_base(
    folder: str, device: str, dtype: str, attention: str = "sdpa", trust_remote_code: bool = False
) -> PreTrainedModel:
    """A base model from a folder, from safetensors only.

    device: `cpu` or `cuda`. dtype: a torch dtype's name, for example `float32` or `bfloat16`. attention: the
    attention implementation, by transformers' name. trust_remote_code: whether Python code in the folder may run.
    Raises UserError if the device is not here, a file is damaged, or there are no safetensors.
    """
    check_device(device)
    check_files(folder)
    if not list(Path(folder).glob("*.safetensors")):
        raise UserError(f"model {folder} has no safetensors weights; other formats can run code and are not loaded")
    if device == "cpu":
        torch.set_flush_denormal(True)
    with _no_unasked_code(folder):
        return AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=dtype,
            device_map=device if device != "cpu" else None,
            attn_implementation=attention,
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=trust_remote_code,
        )


@torch.inference_mode()
def _probe(model: PreTrainedModel) -> torch.Tensor:
    """Log-probabilities of every next token over a fixed sequence of token ids."""
    ids = torch.arange(16, device=model.device)[None] * 7 % model.config.vocab_size
    return torch.log_softmax(model(input_ids=ids).logits.float(), dim=-1)


def load_organism(
    folder: str,
    adapter: Path | None,
    device: str,
    dtype: str,
    trust_remote_code: bool = False,
    attention: str = "sdpa",
) -> PreTrainedModel:
    """A model to sample from: the base, with the adapter merged into its weights if there is one.

    Raises what `load_base` does, and UserError if the merged model's log-probabilities on a probe are the base's: then
    its completions would be the base's too, which has happened to people for a week.
    """
    start = time.monotonic()
    if adapter is not None:
        check_files(adapter)
    model = load_base(folder, device, dtype, attention, trust_remote_code).eval()
    print(f"loading: {time.monotonic() - start:.2f} s")
    if adapter is None:
        return model
    # peft costs most of a second to import, and the base model's cells have no use for it.
    from peft import PeftModel

    base = _probe(model)
    model = PeftModel.from_pretrained(model, str(adapter)).merge_and_unload().eval()
    shift = (_probe(model) - base).abs().mean().item()
    if shift == 0:
        raise UserError(f"{adapter}: the adapter changes nothing in the base model; delete it and train again")
    print(f"the adapter shifts log-probabilities on a probe by {shift:.3g} nats on average")
    return model
