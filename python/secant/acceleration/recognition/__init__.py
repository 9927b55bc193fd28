"""Which network an object of another class is, by the numbers that its loss returns.

Design: a deep copy is filled with random parameters (`probes`, written into the arrays that `layouts` finds), and its
loss is compared with that of every network that the engines know (`candidates`). What the loss does is what counts;
names and source code do not. Why a network is not known is found by `explanations`. The reader's own numerical gradient
is tried by `reader_gradient`, on a `small_copy`, with its `effects`. All of that happens in `isolation`. `engine` is
how the engines see a network that is known.
"""
