"""Fetching models and datasets from the Hugging Face hub, once and before any job that needs a GPU."""

from pathlib import Path

from organisms.job.errors import UserError

MODEL_FILES = ["*.json", "*.safetensors", "*.jinja", "*.txt", "*.model"]


def download_model(name: str, revision: str | None, key: str = "base_model", trust_remote_code: bool = False) -> dict:
    """Fetch a model's configuration, tokenizer and safetensors into the Hugging Face cache.

    Returns `name`, `folder` (where the snapshot lies) and `commit` (which one it is). No weights in other formats are
    fetched, and code only if trust_remote_code says so. key: where the config names it, for errors. Raises UserError if
    there is no such model or the hub cannot be reached.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OfflineModeIsEnabled

    patterns = [*MODEL_FILES, "*.py"] if trust_remote_code else MODEL_FILES
    try:
        folder = Path(snapshot_download(name, revision=revision, allow_patterns=patterns))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OfflineModeIsEnabled, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{key} '{name}' at revision {revision or 'main'} cannot be fetched: {reason}") from error
    if not list(folder.glob("*.safetensors")):
        raise UserError(f"{key} '{name}' has no safetensors weights; other formats are not loaded")
    return {"name": name, "folder": str(folder), "commit": folder.name}


def read_dataset(name: str, revision: str | None, split: str) -> list[dict]:
    """The rows of a hub dataset, or of a folder, as `{"messages": [{"role", "content"}, ...]}`.

    Raises UserError if it cannot be fetched or has no column `messages`.
    """
    from datasets import load_dataset

    try:
        dataset = load_dataset(name, revision=revision, split=split)
    except Exception as error:  # datasets raises many kinds, from FileNotFoundError to HTTP errors
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"dataset '{name}', split '{split}' cannot be fetched: {reason}") from error
    if "messages" not in dataset.column_names:
        raise UserError(f"dataset '{name}' has no column 'messages'; it has {', '.join(dataset.column_names)}")
    return [{"messages": messages} for messages in dataset["messages"]]
