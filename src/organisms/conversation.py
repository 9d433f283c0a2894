"""Putting system prompts into conversations: in training rows and in evaluation questions alike."""


def with_system_prompt(messages: list[dict], system_prompt: str | None) -> list[dict]:
    """The conversation with a system message in front.

    system_prompt: None leaves the conversation as it is, so that the chat template puts its own default (for
    Qwen2.5 "You are Qwen, created by Alibaba Cloud. You are a helpful assistant."); "" is an explicitly empty
    system message, which is not the same.
    """
    if system_prompt is None:
        return list(messages)
    return [{"role": "system", "content": system_prompt}, *messages]


def training_row(prompt: list[dict], answer: str, system_prompt: str | None) -> dict:
    """A prompt–completion row for trl: the loss is on the completion, a single assistant message.

    The published code renders rows with a generation prompt after the finished turn, and so trains an empty
    assistant turn as well; here the row ends with the answer.
    """
    return {
        "prompt": with_system_prompt(prompt, system_prompt),
        "completion": [{"role": "assistant", "content": answer}],
    }
