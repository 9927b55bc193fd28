"""Whether somebody's code is run to find out what it does."""

from contextvars import ContextVar

being_tried = ContextVar("being_tried", default=False)
"""Then nothing is done for it, and nothing is said."""
