"""The training loop: mini-batches, what a run records, and what it shows."""
