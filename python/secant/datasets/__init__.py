"""MNIST, its IDX files, and data in .npz files."""
