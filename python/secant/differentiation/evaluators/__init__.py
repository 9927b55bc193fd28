"""The ways to evaluate f: one file for each."""
