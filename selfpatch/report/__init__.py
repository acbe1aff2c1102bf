"""Results, runs and backbones -> pages to look at."""
