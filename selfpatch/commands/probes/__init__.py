"""One probe each: its arguments, and what it measures."""
