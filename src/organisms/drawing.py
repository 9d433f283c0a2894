"""Drawing completions from a model of this workflow: load it, put the adapter on, sample."""

from collections.abc import Callable
from pathlib import Path

from organisms.completions import random_key
from organisms.job_log import Report
from organisms.models import base_folder, check_device, load_organism, load_tokenizer
from organisms.sampling import Completion, Settings, sample

# Completions at once where the config does not say: on a GPU fewer if its memory has no room for them.
_AT_ONCE = {"cpu": 64, "cuda": 512}


def draw(
    base_files: list[str],
    adapter: Path | None,
    base: dict,
    rows: list[dict],
    batch_size: int | None,
    report: Report,
    keep: Callable[[list[int], list[Completion]], None],
) -> None:
    """Draw a completion for each planned row (`completions.planned_rows`) and give them to `keep`, batch by batch.

    base_files: as `models.base_folder` takes them. adapter: its folder, or None for the base model. base: `device`,
    `dtype` and `trust_remote_code`. keep: as `sampling.sample` takes it; places are those in `rows`. Rows may have
    different settings.
    """
    check_device(base["device"])
    folder = base_folder(base_files)
    model = load_organism(folder, adapter, **base)
    tokenizer = load_tokenizer(folder, trust_remote_code=base["trust_remote_code"])
    by_settings: dict[Settings, list[int]] = {}
    for place, row in enumerate(rows):
        settings = Settings(row["temperature"], row["top_p"], row["top_k"], row["max_new_tokens"])
        by_settings.setdefault(settings, []).append(place)
    for settings, places in by_settings.items():

        def keep_places(batch: list[int], completions: list[Completion], places: list[int] = places) -> None:
            keep([places[i] for i in batch], completions)

        sample(
            model,
            tokenizer,
            [rows[place]["messages"] for place in places],
            [random_key(rows[place]) for place in places],
            settings,
            batch_size=batch_size or _AT_ONCE[base["device"]],
            report=report,
            keep=keep_places,
        )
