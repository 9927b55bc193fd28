"""Which network an object of another class is, by the numbers that its loss returns.

Design, in the order of what happens: `layouts` finds four arrays that may be W1, b1, W2
and b2. A deep copy, the `probe_net`, gets random parameters and mini-batches, the
`probes`, and its losses are compared with those of every network that Secant knows, the
`candidates`. If exactly one has these losses, the `reader_gradient` is called on a
small copy, to see which difference of the loss it is. The `result` says what was found;
`equivalent` makes the `TwoLayerNet` that computes for it. If none has them, `refusals`
says what else explains the losses. Only what the loss does counts. Names and source
code do not; a message may guess by its name which method was meant (`methods`). The
reader's code runs in `isolation`, on copies only.
"""
