"""MNIST, the IDX files that it comes in, and pixels that are normalized when they are
read.
"""
