"""Library code of the workflow: finetune, evaluate and compare model organisms.

Nothing in here knows of Snakemake. The scripts in `workflow/scripts` read inputs, call these modules and
write outputs; the Snakefile asks `experiment` which files the config wants.
"""
