"""MNIST, the IDX files that it comes in, and pixels that are normalised when they are read."""
