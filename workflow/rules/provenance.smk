"""What made the results: manifest; packed with them: archive."""


rule manifest:
    """After all others: it follows their manifests from the results back to the config."""
    input:
        results=all_tables_and_figures(),
        hashed=hashed_files(),
    output:
        "<results>/manifest.json",
    log:
        "<logs>/manifest.log",
    benchmark:
        "<benchmarks>/manifest.tsv"
    conda:
        "../../envs/data.yaml"
    params:
        manifests=f"{config['results']}/manifests",
        code=code("manifest"),
    message:
        "Noting what made the results"
    script:
        "../scripts/manifest.py"


rule archive:
    """Config, tables, figures and provenance in one file, for a paper's supplement."""
    input:
        [file for file in all_tables_and_figures() if "/browser/" not in file],
        manifest="<results>/manifest.json",
    output:
        "<results>/archive.zip",
    log:
        "<logs>/archive.log",
    benchmark:
        "<benchmarks>/archive.tsv"
    conda:
        "../../envs/data.yaml"
    params:
        code=code("archive"),
    message:
        "Packing the results"
    script:
        "../scripts/archive.py"
