"""What a config asks for: prompts, arms, models, cells, claims and metrics, and the settings of each job.

Bookkeeping only: it reads the config and the small files that declare things, and imports nothing heavy, since every
plan of Snakemake runs it.
"""
