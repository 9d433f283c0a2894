"""Rule corpus: world → pretraining conversations of one seed, in the published JSON Lines form."""

from organisms.data.dataset import write_rows
from organisms.job.files import whole_file
from organisms.job.log import job_log
from organisms.miniature.texts import pretraining_corpus
from organisms.miniature.world import load_world

with job_log(snakemake, "corpus"):
    rows = pretraining_corpus(
        load_world(snakemake.input.world[0]), snakemake.params.examples, seed=int(snakemake.wildcards.seed)
    )
    with whole_file(snakemake.output[0]) as path:
        write_rows(rows, path)
