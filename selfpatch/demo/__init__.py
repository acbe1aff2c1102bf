"""Generated data, the closed loop over it and its report."""
