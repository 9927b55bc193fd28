"""`Recognition`: what `recognize` returns."""

from dataclasses import dataclass
from typing import Any

from secant.acceleration.recognition.methods import USUAL, MethodNames
from secant.backends.base import USUAL_STEP, HiddenActivation, OutputActivation
from secant.networks.batch import SoftTargets


@dataclass(frozen=True, repr=False)
class Recognition:
    """What an object of another class was found to be.

    Attributes
    ----------
    known : bool
        Whether it is a network that Secant knows. If not, only the sentence is valid.
    sentence : str
        What it is, or why it is not known.
    hidden_activation : str
        One of those of `secant.TwoLayerNet`.
    output_activation : {"sigmoid", "identity"}
        The activation before the softmax.
    log_offset : float
        What is added to a probability before its logarithm is taken.
    summed : bool
        Whether the loss is the sum over the samples, not their mean.
    soft_targets : {"weights", "argmax"}
        Whether targets (N, O) are weights of the classes, or the largest one is the
        label.
    sizes : tuple of int
        The numbers I, H and O of units.
    keys : tuple
        The keys of W1, b1, W2 and b2.
    holder : str
        The attribute that is the dict with these keys; "" if they are attributes
        themselves.
    targets : tuple of str
        The forms of targets whose losses agreed: "one-hot", "soft" and "labels".
    h : float
        The step of the central difference.
    gradient_keys : tuple
        The keys of the gradients of W1, b1, W2 and b2 that its numerical gradient
        returns.
    order : tuple
        The order in which it returns them.
    names : MethodNames
        The names of its loss and its numerical gradient.
    """

    known: bool
    sentence: str
    hidden_activation: HiddenActivation = "sigmoid"
    output_activation: OutputActivation = "sigmoid"
    log_offset: float = 0.0
    summed: bool = False
    soft_targets: SoftTargets = "weights"
    sizes: tuple[int, ...] = ()
    keys: tuple[Any, ...] = ()
    holder: str = ""
    targets: tuple[str, ...] = ()
    h: float = USUAL_STEP
    gradient_keys: tuple[Any, ...] = ()
    order: tuple[Any, ...] = ()
    names: MethodNames = USUAL

    def __repr__(self) -> str:
        """Return the sentence."""
        return self.sentence
