"""Whether the reader's code is being tried, to find out what it does."""

from contextvars import ContextVar

being_tried = ContextVar("being_tried", default=False)
"""If it is, Secant neither accelerates anything nor warns."""
