"""Plain supervised finetuning: what the post did."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Method:
    """It has no options."""

    def trainer(self, base: type) -> type:
        """The trainer's class."""
        return base
