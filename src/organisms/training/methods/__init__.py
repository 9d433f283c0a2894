"""Training methods: one file each, with a dataclass `Method` whose fields are its options.

`trainer(base)` gives the trainer's class: `base` is trl's `SFTTrainer`, and a method returns it or a subclass of it.
"""

from dataclasses import fields
from importlib import import_module
from pathlib import Path
from typing import Any

from organisms.job.errors import UserError

_SFT = "sft"


def method_names() -> list[str]:
    """The methods, by their files' names; imports none of them."""
    return sorted(path.stem for path in Path(__file__).parent.glob("*.py") if path.stem != "__init__")


def module_of(kind: str) -> str:
    """The module of a method, for the digest of the code that runs."""
    return f"{__name__}.{kind}"


def open_method(settings: dict | None) -> Any:
    """A training method from its settings (`kind` and `options`); None is plain supervised finetuning.

    Raises UserError naming what is wrong if there is no such method, or it has no such option or needs another one.
    """
    kind, options = (settings["kind"], settings["options"]) if settings else (_SFT, {})
    if kind not in method_names():
        raise UserError(f"kind: no training method '{kind}'; known are {', '.join(method_names())}")
    method = import_module(module_of(kind)).Method
    known = [field.name for field in fields(method)]
    unknown = [name for name in options if name not in known]
    if unknown:
        raise UserError(f"options.{unknown[0]}: method '{kind}' has {', '.join(known) or 'no options'}")
    try:
        return method(**options)
    except (TypeError, ValueError) as error:
        raise UserError(f"options of method '{kind}': {error}") from error
