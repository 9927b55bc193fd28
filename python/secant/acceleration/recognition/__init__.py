"""Which network an object of another class is, by the numbers that its loss returns.

Design: a deep copy, the `subject`, is filled with random parameters (`probes`, written into the arrays that `layouts`
finds), and its loss is compared with that of every network that Secant knows (`candidates`). What the loss does is what
counts; names and source code do not. Only which other method may be meant is told by its name, in `methods`.
`explanations` says why a network is not known. The reader's own numerical gradient is tried by `reader_gradient`, on a
`small_copy`, with its `effects`. All of that happens in `isolation`. `equivalent` is the `TwoLayerNet` that computes
for a network that is known.
"""
