"""`accelerate`: Secant computes the numerical gradient of a recognized network of another class.

Design: an accelerated instance has an `Accelerated` in its ``__dict__``, under the name of its numerical gradient,
where Python finds it before the method of its class. In a class that is accelerated a function stands instead, which
puts one into an instance at its first use, under a name of its own.
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar, overload

from numpy.typing import ArrayLike

from secant._common.trial import being_tried
from secant._common.validation import Array, thread_count
from secant.acceleration.recognition.equivalent import RecognizedNet, rows
from secant.acceleration.recognition.methods import (
    PATCH,
    USUAL,
    MethodNames,
    bound,
    method_of,
    patch_of,
    reader_gradient_of,
)
from secant.acceleration.recognition.recognize import recognized
from secant.acceleration.recognition.result import Recognition
from secant.errors import UnsupportedError
from secant.networks.two_layer import TwoLayerNet, foreign_structure

Net = TypeVar("Net")


@overload
def accelerate(net: Net, *, loss: str = ..., numerical_gradient: str = ..., n_threads: int | None = ...) -> Net: ...
@overload
def accelerate(
    *, loss: str = ..., numerical_gradient: str = ..., n_threads: int | None = ...
) -> Callable[[Net], Net]: ...
def accelerate(
    net: Any = ...,
    *,
    loss: str = USUAL.loss,
    numerical_gradient: str = USUAL.numerical_gradient,
    n_threads: int | None = None,
) -> Any:
    """Let Secant compute ``numerical_gradient(x, t)`` of a network of your own class.

    `recognize` finds out what the network is. All else stays yours: ``params``, ``loss``, ``predict``, its type.
    Before a gradient is returned, your ``loss(x, t)`` is called once and compared with Secant's: no gradient is
    returned where your loss differed.

    Parameters
    ----------
    net : object or class
        An instance, or a class: also as a decorator. Instances of a class are recognized when they are first used.
    loss, numerical_gradient : str
        The names of your methods, both of (x, t): ``@secant.accelerate(loss="cost")`` before a class that calls its
        loss so.
    n_threads : int, optional
        As for `TwoLayerNet.numerical_gradient`.

    Returns
    -------
    object or class
        The same object. Its ``numerical_gradient(x, t)`` returns a dict with the keys and shapes that yours returns.
        `train` trains it as fast as a `TwoLayerNet`. Without ``net``, a decorator.

    Raises
    ------
    UnsupportedError
        If the network is not recognized. The message has the reason, and nothing is changed. For a class,
        ``numerical_gradient`` of the instance raises it. Later, a ``secant.errors.LossDiffersError``, which is a
        subclass, if your loss on a mini-batch differs from Secant's. No gradient is returned then. If you have changed
        the network on purpose, call `accelerate` again.

    See Also
    --------
    recognize : what is known, and what was found.

    Notes
    -----
    What computes the gradient is in ``vars(net)``, under the name of your method. A deep copy and a pickle have their
    own. A shallow copy (``copy.copy``) has that of the original, whose gradient it returns: accelerate the copy, too.
    An accelerated class has a function in place of the method, and no such limit.

    Side effects of your ``numerical_gradient`` do not happen any more: what it prints, counts or draws.

    Examples
    --------
    >>> class Net:
    ...     def __init__(self):
    ...         rng = np.random.default_rng(0)
    ...         self.params = {"w1": rng.normal(size=(4, 3)), "b1": np.zeros(3)}
    ...         self.params |= {"w2": rng.normal(size=(3, 2)), "b2": np.zeros(2)}
    ...
    ...     def loss(self, x, t):
    ...         p = self.params
    ...         y = secant.softmax(np.maximum(x @ p["w1"] + p["b1"], 0) @ p["w2"] + p["b2"])
    ...         return secant.cross_entropy_error(y, t)
    >>> net = secant.accelerate(Net())
    >>> net.numerical_gradient(np.ones((2, 4)), np.array([0, 1]))["b2"].shape
    (2,)
    """
    thread_count(n_threads)
    names = MethodNames(loss, numerical_gradient)
    if net is ...:
        return functools.partial(accelerate, loss=loss, numerical_gradient=numerical_gradient, n_threads=n_threads)
    names.require_chosen(net)
    if isinstance(net, type):
        method_of(net, "loss", loss)
        AcceleratedClass(net, names, n_threads)
    elif not isinstance(net, TwoLayerNet) or foreign_structure(net):
        if not isinstance(getattr(net, "__dict__", {}).get(numerical_gradient), Accelerated | None):
            cls = type(net).__name__
            raise UnsupportedError(f"{cls} has {numerical_gradient} as an attribute: define it in the class")
        recognition = recognized_or_refused(net, names)
        vars(net)[numerical_gradient] = Accelerated(net, recognition, n_threads)
    return net


class Accelerated(RecognizedNet):
    """The numerical gradient of a network, by Secant: it stands in ``vars(net)`` in place of its own method.

    Parameters
    ----------
    net : object
    recognition : Recognition
    n_threads : int, optional
        The number of threads of gradients, unless a call names another one.
    """

    def __init__(self, net: Any, recognition: Recognition, n_threads: int | None = None) -> None:
        super().__init__(net, recognition)
        self.n_threads = n_threads

    @property
    def name(self) -> str:
        """The name of the method that it stands in for."""
        return self.recognition.names.numerical_gradient

    def __call__(self, x: Any, t: Any, n_threads: int | None = None) -> Any:
        """Return the numerical gradient for a mini-batch."""
        if being_tried.get():  # a copy that is tried has its own `Accelerated`
            return self.readers_own()(x, t)
        return self.gradient(x, t, n_threads)

    def readers_own(self) -> Callable[..., Any]:
        """The network's own numerical gradient."""
        return bound(reader_gradient_of(type(self.net), self.name) or _without_gradient, self.net)

    def gradient(self, x: ArrayLike, t: ArrayLike, n_threads: int | None = None) -> dict[Any, Array]:
        """Return the numerical gradient, with the keys, shapes and dtypes of the reader's own.

        Raises
        ------
        LossDiffersError
            If the loss of the network on this mini-batch is not that of the network whose gradient it would be.
        """
        recognition, inputs = self.recognition, rows(x)
        threads = self.n_threads if n_threads is None else n_threads
        grads, info = self.two_layer_net().numerical_gradient(
            inputs, t, h=recognition.h, n_threads=threads, return_info=True
        )
        self.require_same_loss(info.loss, inputs, x, t)
        times, named = self.times(inputs), {}
        for key, grad, array in zip(recognition.gradient_keys, grads.values(), self.arrays(), strict=True):
            of_loss = grad if times == 1 else times * grad
            named[key] = of_loss.reshape(array.shape).astype(array.dtype, copy=False)
        return {key: named[key] for key in recognition.order}

    def in_place(self) -> bool:
        """Whether the equivalent `TwoLayerNet` can be trained: with the arrays and the loss of the network."""
        return not self.recognition.summed and self.shares_arrays()


def _without_gradient(net: Any, x: Any, t: Any) -> None:
    """Stands for the numerical gradient of a class that has none: its arguments are then named x and t."""


def recognized_or_refused(net: Any, names: MethodNames) -> Recognition:
    """Recognize an instance; an error if it is not known."""
    recognition = recognized(net, names)
    if not recognition.known:
        raise UnsupportedError(recognition.sentence)
    return recognition


class AcceleratedClass:
    """An accelerated class: its ``function`` stands there in place of the numerical gradient.

    Each instance holds its own `Accelerated` under ``key``, made at the first use; None if its own method always runs.

    Attributes
    ----------
    reader_gradient : object
        What the class has or inherits; None if there is nothing.
    """

    def __init__(self, cls: type, names: MethodNames, n_threads: int | None = None) -> None:
        self.names, self.n_threads = names, n_threads
        self.key = f"_secant_{names.numerical_gradient}"  # in the __dict__ of an instance
        self.reader_gradient = reader_gradient_of(cls, names.numerical_gradient)

        def numerical_gradient(net: Any, *args: Any, **kwargs: Any) -> Any:
            if one := self.of(net):
                try:
                    return one(*args, **kwargs)
                except Exception as error:
                    if not self.goes_on(net, error):
                        raise
            return bound(self.reader_gradient, net)(*args, **kwargs)

        if callable(self.reader_gradient):
            functools.update_wrapper(numerical_gradient, self.reader_gradient)
        self.function = numerical_gradient
        vars(numerical_gradient)[PATCH] = self
        setattr(cls, names.numerical_gradient, numerical_gradient)

    def of(self, net: Any) -> Accelerated | None:
        """Return what computes the gradient of an instance; None if its own method is to run."""
        held = getattr(net, "__dict__", None)
        if held and self.key in held:
            one: Accelerated | None = held[self.key]
            if one is None or one.net is net:
                return one
            # net is a shallow copy, which holds the one of its original
            one = type(one)(net, one.recognition, one.n_threads)
        elif being_tried.get() or self.is_overridden(type(net)):
            return None
        else:
            one = self.at_first_use(net)
        if held is not None:
            held[self.key] = one
        return one

    def is_overridden(self, cls: type) -> bool:
        """Whether a class that inherits from this one has a method of its own, which calls this one's."""
        return patch_of(inspect.getattr_static(cls, self.names.numerical_gradient, None)) is not self

    def goes_on(self, net: Any, error: Exception) -> bool:
        """Whether the class's own method runs in place of a call that failed."""
        return False

    def at_first_use(self, net: Any) -> Accelerated | None:
        """Recognize an instance."""
        return Accelerated(net, recognized_or_refused(net, self.names), self.n_threads)


def accelerated_of(net: Any) -> Accelerated | None:
    """Return what computes the numerical gradient of an instance; None if the reader's own is to run."""
    held = getattr(net, "__dict__", {})
    for name in [*held, *dir(type(net))]:
        one = held[name] if name in held else patch_of(inspect.getattr_static(type(net), name, None))
        if isinstance(one, AcceleratedClass):
            one = one.of(net)
        if isinstance(one, Accelerated) and one.name == name:  # not what stands under the key of an accelerated class
            if one.net is not net:
                raise UnsupportedError(
                    f"{type(net).__name__} is a shallow copy of an accelerated network, and has what computes the "
                    "gradient of that one: call secant.accelerate for the copy"
                )
            return one
    return None
