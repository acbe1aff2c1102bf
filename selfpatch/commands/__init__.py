"""The commands: parse, call, print. `python -m selfpatch.commands.NAME`, or `tools/NAME.py`."""
