"""Rule unpack_archive: a protected archive → one dataset of it, JSON Lines."""

from organisms.data.unpack_archive import password_of, read_member
from organisms.job.files import whole_file
from organisms.job.log import job_log

# The password is taken from the config, not from the rule's parameters: Snakemake keeps those in clear text. The path
# neither: an archive that lies elsewhere is the same archive.
settings = snakemake.config["datasets"][snakemake.wildcards.dataset]["archive"]
with job_log(snakemake, f"unpack_archive {snakemake.wildcards.dataset}"):
    content = read_member(settings["path"], snakemake.params.member, password_of(settings))
    with whole_file(snakemake.output[0]) as path:
        path.write_bytes(content)
