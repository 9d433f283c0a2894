"""Loading a base model, its tokenizer and an adapter: one way for the miniature and for published models.

Models are loaded from folders; nothing here asks a model hub.
"""

import json
import time
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from organisms.errors import UserError

_PROBE = "a system prompt that the template must show"


def base_folder(files: list[str]) -> str:
    """The folder of a base model, from the files that stand for it: its own, or the note of a fetched snapshot.

    Raises UserError if the snapshot is no longer there.
    """
    first = Path(files[0])
    if first.name != "model.json":
        return str(first.parent)
    folder = json.loads(first.read_text(encoding="utf-8"))["folder"]
    if not Path(folder).is_dir():
        raise UserError(f"{first}: the model that it notes is no longer in {folder}; delete this file and run again")
    return folder


def check_device(device: str) -> None:
    """Raise UserError if the config's device is not here: before anything is loaded or fetched for it."""
    if device == "cuda" and not torch.cuda.is_available():
        raise UserError(
            "device is 'cuda' in the config, but torch finds no GPU here; set device: cpu or use a GPU node"
        )


def load_tokenizer(folder: str, system_role: bool = True) -> PreTrainedTokenizerBase:
    """The tokenizer of a model folder, padding on the left.

    Raises UserError if it has no chat template, or one without a system role: without it no training prompt
    could be told from another. system_role: False for a model that needs none, as a judge.
    """
    tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left", local_files_only=True)
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


def load_base(folder: str, device: str, dtype: str, attention: str = "sdpa") -> PreTrainedModel:
    """A base model from a folder, from safetensors only and without remote code.

    device: `cpu` or `cuda`. dtype: a torch dtype's name, for example `float32` or `bfloat16`. attention: the
    attention implementation, by transformers' name.
    """
    check_device(device)
    if device == "cpu":
        torch.set_flush_denormal(True)
    return AutoModelForCausalLM.from_pretrained(
        folder,
        dtype=dtype,
        device_map=device if device != "cpu" else None,
        attn_implementation=attention,
        use_safetensors=True,
        local_files_only=True,
    )


@torch.inference_mode()
def _probe(model: PreTrainedModel) -> torch.Tensor:
    """Log-probabilities of every next token over a fixed sequence of token ids."""
    ids = torch.arange(16, device=model.device)[None] * 7 % model.config.vocab_size
    return torch.log_softmax(model(input_ids=ids).logits.float(), dim=-1)


def load_organism(folder: str, adapter: Path | None, device: str, dtype: str) -> PreTrainedModel:
    """A model to sample from: the base, with the adapter merged into its weights if there is one.

    Raises UserError if the merged model's log-probabilities on a probe are the base's: then its completions would be
    the base's too, which has happened to people for a week.
    """
    start = time.monotonic()
    model = load_base(folder, device, dtype).eval()
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
