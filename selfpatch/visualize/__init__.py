"""Tokens, boxes and masks -> pictures."""
