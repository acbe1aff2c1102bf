"""Frozen features -> what they are worth."""
