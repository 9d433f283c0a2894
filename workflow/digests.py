"""Print what today's code of the costly rules is, for workflow/equivalent_code.yaml: python workflow/digests.py"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

from organisms import ROOT
from organisms.completions.kept import SAMPLES_WITH
from organisms.job.code import code_digest
from organisms.training.methods import method_names, module_of


def digests() -> dict[str, str]:
    """By rule (of finetune, by method too) the 16 digits of its code."""
    scripts = ROOT / "workflow" / "scripts"
    found = {rule: code_digest(scripts / f"{rule}.py", {}) for rule in ("pretrain", "completions")}
    for method in method_names():
        name = "finetune" if method == "sft" else f"finetune ({method})"
        found[name] = code_digest(scripts / "finetune.py", {}, [module_of(method)])
    return found | {"sampling": code_digest(None, {}, SAMPLES_WITH)}


if __name__ == "__main__":
    for rule, digest in digests().items():
        print(f"{rule}: {digest}")
