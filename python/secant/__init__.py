"""Secant."""
