"""The doors of the project: each reads a command line, calls the packages and prints."""
