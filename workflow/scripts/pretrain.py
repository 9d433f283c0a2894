"""Rule pretrain: corpus → a miniature base model, an ordinary Hugging Face model folder."""

import json
import tempfile
from pathlib import Path

from organisms.data.dataset import read_conversations
from organisms.job.files import whole_files
from organisms.job.log import job_log
from organisms.miniature.pretrain import Settings, pretrain
from organisms.plan.settings import filled

seed = int(snakemake.wildcards.seed)
with job_log(snakemake, f"pretrain seed {seed}") as report, tempfile.TemporaryDirectory() as work_dir:
    model, tokenizer = pretrain(
        list(read_conversations(snakemake.input.corpus).values()),
        filled("miniature", json.loads(snakemake.params.settings), Settings),
        seed=seed,
        threads=snakemake.threads,
        work_dir=Path(work_dir),
        report=report,
    )
    with whole_files(Path(snakemake.output.config).parent) as folder:
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
