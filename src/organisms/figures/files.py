"""The files of figures. No library that draws is imported here: every plan of Snakemake asks it."""

# A figure's forms: to look at, to edit, to print, and with its tooltips.
ENDINGS = ("png", "svg", "pdf", "html")
