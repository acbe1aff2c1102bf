"""A plan of backbones, tasks and seeds -> jobs -> results, under Snakemake."""
