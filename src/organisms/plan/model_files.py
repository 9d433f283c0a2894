"""The files of a model folder on disk that a job depends on."""

from pathlib import Path


def model_folder_files(folder: Path) -> list[str]:
    """Configuration, tokenizer, template and weights, sorted."""
    return sorted(str(path) for pattern in ("*.json", "*.safetensors", "*.jinja") for path in folder.glob(pattern))
