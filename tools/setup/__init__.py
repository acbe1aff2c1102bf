"""A clone -> an environment that works: ``python3 -m tools.setup`` (see :mod:`tools.setup.steps`).

Standard library only: this runs before anything is installed.
"""
