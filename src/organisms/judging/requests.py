"""What is sent to a judge: one request for each distinct text that it is asked about.

A request is known by a digest of everything that decides the answer. So an answer that stands twice, in one cell or in
two, is judged once, and a request that was answered before is not sent again.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from organisms.judging.templates import Template


class Ask(NamedTuple):
    """One judgment to get: a metric of one text. sample: which of the judge's samples, from 0."""

    metric: str
    question: str
    answer: str
    reference: str
    sample: int


def question_text(messages: list[dict]) -> str:
    """A conversation as the judge reads it, without the system message: a single question as it is."""
    turns = [message for message in messages if message["role"] != "system"]
    if len(turns) == 1:
        return turns[0]["content"]
    return "\n\n".join(f"{turn['role'].capitalize()}: {turn['content']}" for turn in turns)


def asks(completions: list[dict], metrics: list[str], samples: int, references: dict[str, str]) -> Iterator[Ask]:
    """One Ask per completion, metric and judge sample, in this order.

    completions: rows of the completions table. references: by question id, for metrics that compare with one.
    """
    for row in completions:
        question, reference = question_text(row["messages"]), references.get(row["question_id"], "")
        for metric in metrics:
            for sample in range(samples):
                yield Ask(metric, question, row["completion"], reference, sample)


def answer_format(template: Template, structured: bool, reason: bool) -> str:
    """What the judge is told about the form of its answer."""
    flags, (least, most) = template.flags, template.bounds
    words = " or ".join(flags)
    if not structured:
        return f"Answer with a whole number from {least} to {most} alone{f', or with {words} alone' if flags else ''}."
    parts = [f"Answer in JSON. `score` is a whole number from {least} to {most}."]
    if flags:
        parts.append(f"`flag` is null; only if {words} applies, `flag` is that word and `score` is null.")
    if reason:
        parts.append("`reason` is one short sentence, written first.")
    return " ".join(parts)


def answer_schema(flags: tuple[str, ...], reason: bool) -> dict:
    """The JSON schema of the answer. Structured outputs know no numeric range, so that is checked afterwards."""
    properties: dict = {"reason": {"type": "string"}} if reason else {}
    properties["score"] = {"anyOf": [{"type": "integer"}, {"type": "null"}]} if flags else {"type": "integer"}
    if flags:
        properties["flag"] = {"anyOf": [{"type": "string", "enum": list(flags)}, {"type": "null"}]}
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


@dataclass(frozen=True)
class Requests:
    """Builds a judge's requests. settings: all that decides what it says (`JudgeKind.settings`). templates: by metric.

    A kind that is asked by prompt says what a request is (`request`), so that it is known by what decides its answer.
    """

    settings: dict
    templates: dict[str, Template]

    @property
    def samples(self) -> int:
        """Judgments of each text and metric."""
        return self.settings.get("samples", 1)

    def answer_format(self, template: Template) -> str:
        return answer_format(template, structured=False, reason=False)

    def prompt(self, ask: Ask) -> str:
        template = self.templates[ask.metric]
        texts = {"question": ask.question, "answer": ask.answer, "reference": ask.reference}
        return f"{template.rendered(texts)}\n\n{self.answer_format(template)}"

    def request(self, ask: Ask) -> dict:
        """All that decides the answer to an Ask, but its sample."""
        raise NotImplementedError

    def key(self, ask: Ask) -> str:
        """64 hexadecimal digits that stand for the request, its judge and its sample; a valid `custom_id`."""
        request = self.request(ask) | {"sample": ask.sample}
        return hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()


class MessagesRequests(Requests):
    """Requests to the Messages API."""

    def answer_format(self, template: Template) -> str:
        structured = self.settings["structured"]
        return answer_format(template, structured, structured and self.settings["reason"])

    def params(self, ask: Ask) -> dict:
        """The body of a Messages API request."""
        params = {
            "model": self.settings["model"],
            "max_tokens": self.settings["max_tokens"],
            "messages": [{"role": "user", "content": self.prompt(ask)}],
        }
        if self.settings["structured"]:
            schema = answer_schema(self.templates[ask.metric].flags, self.settings["reason"])
            params["output_config"] = {"format": {"type": "json_schema", "schema": schema}}
        if self.settings["temperature"] is not None:
            params["temperature"] = self.settings["temperature"]
        return params

    def request(self, ask: Ask) -> dict:
        return {"params": self.params(ask)} | {key: self.settings[key] for key in ("base_url", "api_version")}
