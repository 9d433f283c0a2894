"""Rule pretrain: corpus → a miniature base model, an ordinary Hugging Face model folder."""

import json
import tempfile
from pathlib import Path

from organisms.dataset import read_conversations
from organisms.files import whole_files
from organisms.job_log import job_log
from organisms.pretrain import Settings, pretrain

seed = int(snakemake.wildcards.seed)
with job_log(snakemake, f"pretrain seed {seed}") as report, tempfile.TemporaryDirectory() as work_dir:
    model, tokenizer = pretrain(
        list(read_conversations(snakemake.input.corpus).values()),
        Settings(**json.loads(snakemake.params.settings)),
        seed=seed,
        threads=snakemake.threads,
        work_dir=Path(work_dir),
        report=report,
    )
    with whole_files(Path(snakemake.output.config).parent) as folder:
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
