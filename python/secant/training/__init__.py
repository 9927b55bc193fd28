"""The training loop: mini-batches, what a run records, and what it shows."""

from secant.training.sampling import epoch_batches as epoch_batches
from secant.training.sampling import sample_with_replacement as sample_with_replacement

__all__ = ["epoch_batches", "sample_with_replacement"]
