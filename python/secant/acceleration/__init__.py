"""Acceleration: Secant computes the numerical gradient of a network of the reader's own class.

Design: `recognition` finds out which network an object is, by the numbers of its loss. `accelerate` puts a function
into its class, in place of ``numerical_gradient``; `records` keeps what was recognized, and compares losses before a
gradient is returned. `script_mode` does the same for ``secant run``, where a script must not notice it.
"""
