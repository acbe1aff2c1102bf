"""Data set's folder -> what is missing or wrong in it, before hours are spent."""
