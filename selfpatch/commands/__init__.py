"""The commands: each adds its arguments to a parser, calls the packages and prints."""
