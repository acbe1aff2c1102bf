"""Numbers -> results files -> tables and the report."""
