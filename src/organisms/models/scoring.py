"""Scoring given answers: how likely a model was to write them, token by token."""

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from organisms.job.errors import UserError
from organisms.job.log import Report
from organisms.models.memory import in_less_memory
from organisms.models.settings import Scored


def answer_tokens(tokenizer: PreTrainedTokenizerBase, conversation: list[dict], answer: str) -> tuple[list, list]:
    """The token ids of a conversation up to its answer, and those of the answer with its end of turn.

    What the template writes after the end of turn belongs to no answer. Raises UserError for an empty answer, or where
    the template writes the conversation otherwise when the answer follows: then there is no such border.
    """
    if not answer.strip():
        raise UserError("an empty answer cannot be scored")
    asked = tokenizer.apply_chat_template(conversation, add_generation_prompt=True, tokenize=False)
    finished = [*conversation, {"role": "assistant", "content": answer}]
    whole = tokenizer.apply_chat_template(finished, tokenize=False)
    if not whole.startswith(asked):
        raise UserError(
            "the chat template writes a conversation otherwise when its answer follows, so no answer has tokens"
        )
    before, told = (tokenizer(text, add_special_tokens=False)["input_ids"] for text in (asked, whole))
    if told[: len(before)] == before:
        told = told[len(before) :]
    else:
        # A token would reach over the border (two line breaks are one of Qwen's), and no model writes half of one.
        told = tokenizer(whole.removeprefix(asked), add_special_tokens=False)["input_ids"]
    ends = [place for place, token in enumerate(told) if token == tokenizer.eos_token_id]
    return before, told[: ends[-1] + 1] if ends else told


@torch.inference_mode()
def log_likelihoods(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    conversations: list[list[dict]],
    answers: list[str],
    batch_size: int,
    report: Report,
) -> list[Scored]:
    """The log-likelihood in nats of each token of each answer, given its conversation, in their order.

    batch_size: answers at once; halved when memory runs out. No temperature: these are the model's own probabilities.
    """
    texts = [answer_tokens(tokenizer, *pair) for pair in zip(conversations, answers, strict=True)]
    # Answers of similar length together, so that little is padded.
    order = sorted(range(len(texts)), key=lambda i: len(texts[i][0]) + len(texts[i][1]))
    found: list[Scored | None] = [None] * len(texts)

    def run(waiting: list[int], at_once: int):
        for start in range(0, len(waiting), at_once):
            places = waiting[start : start + at_once]
            batch = [order[place] for place in places]
            rows = [texts[i][0] + texts[i][1] for i in batch]
            width = max(map(len, rows))
            pad = tokenizer.pad_token_id
            ids = torch.tensor([row + [pad] * (width - len(row)) for row in rows], device=model.device)
            mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows], device=model.device)
            logits = model(input_ids=ids, attention_mask=mask, use_cache=False).logits
            for row, i in enumerate(batch):
                before, told = texts[i]
                here = slice(len(before) - 1, len(before) - 1 + len(told))
                chances = torch.log_softmax(logits[row, here].double(), dim=-1)
                wanted = torch.tensor(told, device=model.device)[:, None]
                found[i] = Scored(told, chances.gather(1, wanted)[:, 0].tolist())
            yield places

    alone = "out of memory for a single answer: use a larger GPU"
    in_less_memory(len(texts), batch_size, run, report, "answers", alone)
    return found
