"""Acceleration: Secant computes the numerical gradient of a network of the reader's own
class.

Design: `recognition` finds out which network an object is, by the numbers of its loss.
`accelerate` puts what computes its gradient into the object, in place of
``numerical_gradient``. In each call the network's own loss is compared with Secant's
before a gradient is returned. `script_mode` does the same for ``secant run``, where a
script goes on with its own gradient if Secant does not know the network.
"""

from secant.acceleration.recognition.result import Recognition as Recognition
