"""A local model as a judge: the expected score over its number tokens, in one forward pass per judgment.

Betley et al. 2025 take the judge's score as the mean over the numbers 0 to 100, weighted by the probabilities that the
model gives them. There each number was one token. Most open models write numbers digit by digit, so that P("85") is
P("8") · P("5" | "8"). All those prefixes are put behind the prompt at once as a tree: each one attends to the prompt
and to its own beginning only, so one pass gives every conditional probability, exactly.
"""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from transformers import PreTrainedModel

from organisms.job.log import Report
from organisms.judging.ratings import Rating
from organisms.judging.templates import Template
from organisms.models.memory import in_less_memory
from organisms.models.opening import OpenedModel

# Below this probability of a number or a flag the judge was about to say something else (Betley et al. 2025).
LEAST_MASS = 0.25


@dataclass(frozen=True)
class AnswerTree:
    """The beginnings of all answers that a judge may give, as a tree of tokens.

    tokens, parents: token and parent of each node (-1 is the end of the prompt); a node is a beginning that another
    token may follow. words: of each answer its tokens as (node before it, token), and the node that it is itself, or
    None if no longer answer begins with it.
    """

    tokens: list[int]
    parents: list[int]
    words: dict[str, tuple[list[tuple[int, int]], int | None]]

    def depths(self) -> list[int]:
        depths: list[int] = []
        for parent in self.parents:
            depths.append(1 if parent < 0 else depths[parent] + 1)
        return depths

    def children(self, node: int) -> list[int]:
        """The tokens that may follow a node."""
        return sorted({token for path, _ in self.words.values() for before, token in path if before == node})


def answer_tree(
    encode: Callable[[str], list[int]], flags: tuple[str, ...], bounds: tuple[int, int] = (0, 100)
) -> AnswerTree:
    """The tree of the whole numbers within bounds and the flags. encode: text → token ids, without special tokens."""
    paths = {word: tuple(encode(word)) for word in [*map(str, range(bounds[0], bounds[1] + 1)), *flags]}
    beginnings = sorted({path[:n] for path in paths.values() for n in range(1, len(path))}, key=lambda b: (len(b), b))
    place = {(): -1} | {beginning: i for i, beginning in enumerate(beginnings)}
    words = {
        word: ([(place[path[:n]], token) for n, token in enumerate(path)], place.get(path))
        for word, path in paths.items()
    }
    return AnswerTree([b[-1] for b in beginnings], [place[b[:-1]] for b in beginnings], words)


def rating_from(probabilities: dict[str, float], flags: tuple[str, ...]) -> tuple[Rating, float]:
    """The rating in the probabilities of the possible answers, and their sum.

    The score is the mean of the numbers weighted by their probabilities; a flag stands if it is more probable than all
    numbers together; with less than LEAST_MASS in all there is no usable answer.
    """
    numbers = {int(word): p for word, p in probabilities.items() if word not in flags}
    mass = sum(probabilities.values())
    if mass < LEAST_MASS:
        raw = f"probability {mass:.3f} of a number or a flag"
        return Rating(None, "unparseable", raw=raw), mass
    on_numbers = sum(numbers.values())
    best = max(flags, key=probabilities.__getitem__, default=None)
    if best and probabilities[best] > on_numbers:
        return Rating(None, best.lower(), raw=best), mass
    return Rating(sum(n * p for n, p in numbers.items()) / on_numbers, None), mass


@torch.inference_mode()
def answer_probabilities(model: PreTrainedModel, prompts: list[list[int]], tree: AnswerTree, pad: int) -> list[dict]:
    """Of each prompt, the probability of each answer of the tree: that it is begun, and where a longer answer begins
    with it, that it ends there.

    prompts: token ids that end where the answer begins. One forward pass for all of them.
    """
    n, longest = len(tree.tokens), max(map(len, prompts))
    width = longest + n
    ids = torch.full((len(prompts), width), pad)
    seen = torch.zeros((len(prompts), width, width), dtype=torch.bool)
    positions = torch.zeros((len(prompts), width), dtype=torch.long)
    depths = torch.tensor(tree.depths(), dtype=torch.long)
    ancestors = torch.eye(n, dtype=torch.bool)
    for node, parent in enumerate(tree.parents):
        if parent >= 0:
            ancestors[node] |= ancestors[parent]
    for row, prompt in enumerate(prompts):
        first = longest - len(prompt)
        ids[row, first:longest], ids[row, longest:] = torch.tensor(prompt), torch.tensor(tree.tokens)
        positions[row, first:longest] = torch.arange(len(prompt))
        positions[row, longest:] = len(prompt) - 1 + depths
        seen[row, first:longest, first:longest] = torch.ones(len(prompt), len(prompt)).tril().bool()
        seen[row, longest:, first:longest] = True
        seen[row, longest:, longest:] = ancestors
        # A row of the mask without any entry would be a division by zero; nothing reads these places.
        seen[row, range(first), range(first)] = True
    mask = torch.zeros(seen.shape, dtype=model.dtype).masked_fill(~seen, torch.finfo(model.dtype).min)
    logits = model(
        input_ids=ids.to(model.device),
        attention_mask=mask[:, None].to(model.device),
        position_ids=positions.to(model.device),
        use_cache=False,
        logits_to_keep=n + 1,
    ).logits
    found = torch.softmax(logits.double(), dim=-1)
    # In `found` the end of the prompt is place 0, node i is place i + 1.
    ends = {
        node: 1 - found[:, node + 1, tree.children(node)].sum(-1) for _, node in tree.words.values() if node is not None
    }
    by_word = {}
    for word, (path, node) in tree.words.items():
        probability = torch.ones(len(prompts), dtype=torch.double, device=found.device)
        for before, token in path:
            probability = probability * found[:, before + 1, token]
        by_word[word] = (probability * ends[node] if node is not None else probability).tolist()
    return [{word: by_word[word][row] for word in by_word} for row in range(len(prompts))]


def as_text(rating: Rating, mass: float) -> str:
    """A rating as the ledger keeps it."""
    return json.dumps({"score": rating.score, "flag": rating.flag, "raw": rating.raw, "mass": round(mass, 6)})


def from_text(text: str) -> Rating:
    """The rating that `as_text` wrote."""
    read = json.loads(text)
    return Rating(read["score"], read["flag"], raw=read["raw"])


def judge_prompts(
    opened: OpenedModel,
    prompts: dict[str, str],
    template: Template,
    batch_size: int,
    report: Report,
    keep: Callable[[list[tuple[str, Rating, float, int]]], None],
) -> None:
    """Judge prompts batch by batch, as `rate`. prompts: by key, of one template."""
    messages = {key: [{"role": "user", "content": prompt}] for key, prompt in prompts.items()}
    rate(opened, messages, template.flags, template.bounds, batch_size, report, keep)


def rate(
    opened: OpenedModel,
    conversations: dict[str, list[dict]],
    flags: tuple[str, ...],
    bounds: tuple[int, int],
    batch_size: int,
    report: Report,
    keep: Callable[[list[tuple[str, Rating, float, int]]], None],
) -> None:
    """The expected number of a model's answer to each conversation, batch by batch.

    conversations: by key. batch_size is halved when the device runs out of memory. keep: takes of each batch key,
    rating, probability of any answer, and tokens of the conversation. Raises UserError if one alone is too much.
    """
    tokenizer = opened.tokenizer
    tree = answer_tree(lambda word: tokenizer.encode(word, add_special_tokens=False), flags, bounds)
    keys = list(conversations)
    messages = [conversations[key] for key in keys]
    ids = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=True)["input_ids"]
    # Prompts of similar length together, so that little is padded.
    order = sorted(range(len(keys)), key=lambda i: len(ids[i]))
    last_report, n_done = time.monotonic(), 0

    def run(waiting: list[int], at_once: int) -> Iterator[list[int]]:
        nonlocal last_report, n_done
        for start in range(0, len(waiting), at_once):
            places = waiting[start : start + at_once]
            batch = [order[place] for place in places]
            found = answer_probabilities(opened.model, [ids[i] for i in batch], tree, tokenizer.pad_token_id)
            keep([(keys[i], *rating_from(p, flags), len(ids[i])) for i, p in zip(batch, found, strict=True)])
            n_done += len(batch)
            if time.monotonic() - last_report > 5:
                last_report = time.monotonic()
                report(f"{n_done}/{len(keys)} ratings")
            yield places

    alone = f"out of memory for one prompt of {max(map(len, ids), default=0)} tokens or fewer; use a larger GPU"
    in_less_memory(len(keys), batch_size, run, report, "prompts", alone)
