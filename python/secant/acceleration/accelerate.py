"""`accelerate`: Secant computes the numerical gradient of a recognized network of
another class.

Design: an accelerated instance has an `Accelerated` in its ``__dict__``, under the name
of its numerical gradient, where Python finds it before the method of its class. An
accelerated class has a function instead. It remembers what each instance was recognized
as, so that nothing is put into their ``__dict__``.
"""

import functools
import inspect
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar, overload
from weakref import ref

from numpy.typing import ArrayLike

from secant._common.trial import being_tried
from secant._common.validation import Array, thread_count
from secant.acceleration.recognition.equivalent import RecognizedNet, rows
from secant.acceleration.recognition.methods import (
    METHOD,
    USUAL,
    MethodNames,
    accelerated_method,
    bound,
    method_of,
    reader_gradient_of,
)
from secant.acceleration.recognition.recognize import recognized
from secant.acceleration.recognition.result import Recognition
from secant.errors import UnsupportedError
from secant.networks.two_layer import TwoLayerNet, foreign_structure

Net = TypeVar("Net")


@overload
def accelerate(
    net: Net,
    *,
    loss: str = ...,
    numerical_gradient: str = ...,
    n_threads: int | None = ...,
) -> Net: ...
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

    `recognize` finds out what the network is. All else stays yours: ``params``,
    ``loss``, ``predict``, its type. Before a gradient is returned, your ``loss(x, t)``
    is called once and compared with Secant's. If they differ, an error is raised in
    place of a gradient.

    Parameters
    ----------
    net : object or class
        An instance, or a class: also as a decorator. Instances of a class are
        recognized when they are first used.
    loss, numerical_gradient : str
        The names of your methods, both of (x, t): ``@secant.accelerate(loss="cost")``
        before a class that calls its loss so.
    n_threads : int, optional
        As for `TwoLayerNet.numerical_gradient`.

    Returns
    -------
    object or class
        The same object. Its ``numerical_gradient(x, t)`` returns a dict with the keys
        that yours returns, and arrays like those of the parameters. `train` trains it
        as fast as a `TwoLayerNet`. Without ``net``, a decorator.

    Raises
    ------
    UnsupportedError
        If the network is not recognized. The message has the reason, and nothing is
        changed. For a class, ``numerical_gradient`` of the instance raises it. Later, a
        ``secant.errors.LossDiffersError``, which is a subclass, if your loss on a
        mini-batch differs from Secant's. No gradient is returned then. If you have
        changed the network on purpose, call `accelerate` again.

    See Also
    --------
    recognize : what is known, and what was found.

    Notes
    -----
    What computes the gradient is in ``vars(net)``, under the name of your method. A
    deep copy and a pickle have their own. A shallow copy (``copy.copy``) has that of
    the original, whose gradient it returns: accelerate the copy, too. An accelerated
    class has no such limit: nothing is in ``vars`` of its instances, and each copy is
    recognized anew, in some 50 ms.

    Side effects of your ``numerical_gradient`` do not happen any more: what it prints,
    counts or draws.

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
    ...         y = secant.softmax(
    ...             np.maximum(x @ p["w1"] + p["b1"], 0) @ p["w2"] + p["b2"]
    ...         )
    ...         return secant.cross_entropy_error(y, t)
    >>> net = secant.accelerate(Net())
    >>> net.numerical_gradient(np.ones((2, 4)), np.array([0, 1]))["b2"].shape
    (2,)
    """
    thread_count(n_threads)
    names = MethodNames(loss, numerical_gradient)
    if net is ...:
        return functools.partial(
            accelerate,
            loss=loss,
            numerical_gradient=numerical_gradient,
            n_threads=n_threads,
        )
    if net is TwoLayerNet or (
        isinstance(net, TwoLayerNet) and not foreign_structure(net)
    ):
        return net  # it is as fast already
    if isinstance(net, type):
        method_of(net, "loss", loss)
        AcceleratedMethod(net, names, n_threads)
    else:
        if not isinstance(
            getattr(net, "__dict__", {}).get(numerical_gradient), Accelerated | None
        ):
            raise UnsupportedError(
                f"{type(net).__name__}.{numerical_gradient} is an attribute: define it"
                " in the class"
            )
        recognition = recognized_or_refused(net, names)
        vars(net)[numerical_gradient] = Accelerated(net, recognition, n_threads)
    return net


class Accelerated(RecognizedNet):
    """The numerical gradient of a network, by Secant: it stands in ``vars(net)`` in
    place of its own method.

    Parameters
    ----------
    net : object
    recognition : Recognition
    n_threads : int, optional
        The number of threads of gradients, unless a call names another one.
    """

    def __init__(
        self, net: Any, recognition: Recognition, n_threads: int | None = None
    ) -> None:
        super().__init__(net, recognition)
        self.n_threads = n_threads

    @property
    def name(self) -> str:
        """The name of the method that it stands in for."""
        return self.recognition.names.numerical_gradient

    def __call__(
        self, *args: ArrayLike, n_threads: int | None = None, **named: ArrayLike
    ) -> dict[Any, Array]:
        """Return the numerical gradient; x and t may have the names of the reader's
        own.
        """
        if len(args) + len(named) != 2:
            raise TypeError(
                f"{self.name} of an accelerated network takes x and t; its h is"
                f" {self.recognition.h:g}"
            )
        if named.keys() - {"x", "t"}:
            bound = inspect.signature(getattr(type(self.net), self.name)).bind(
                self.net, *args, **named
            )
            args, named = bound.args[1:], bound.kwargs
        return self.gradient(*args, n_threads=n_threads, **named)

    def gradient(
        self, x: ArrayLike, t: ArrayLike, *, n_threads: int | None = None
    ) -> dict[Any, Array]:
        """Return the numerical gradient for a mini-batch, with the keys of the reader's
        own.

        Raises
        ------
        LossDiffersError
            If the network's loss on this mini-batch is not the loss that was
            recognized.
        """
        recognition, inputs = self.recognition, rows(x)
        threads = self.n_threads if n_threads is None else n_threads
        grads, info = self.two_layer_net().numerical_gradient(
            inputs, t, h=recognition.h, n_threads=threads, return_info=True
        )
        self.require_same_loss(info.loss, inputs, x, t)
        times, named = self.times(inputs), {}
        for key, grad, array in zip(
            recognition.gradient_keys, grads.values(), self.arrays(), strict=True
        ):
            of_loss = grad if times == 1 else times * grad
            named[key] = of_loss.reshape(array.shape).astype(array.dtype, copy=False)
        return {key: named[key] for key in recognition.order}

    def in_place(self) -> bool:
        """Whether the equivalent `TwoLayerNet` can be trained: with the arrays and the
        loss of the network.
        """
        return not self.recognition.summed and self.shares_arrays()


def recognized_or_refused(net: Any, names: MethodNames) -> Recognition:
    """Recognize an instance; an error if it is not known."""
    recognition = recognized(net, names)
    if not recognition.known:
        raise UnsupportedError(recognition.sentence)
    return recognition


class AcceleratedMethod:
    """The numerical gradient of an accelerated class, whose ``function`` stands there
    in place of the reader's.

    It is a function, as a class has it in Python.

    Attributes
    ----------
    reader_gradient : object
        What the class had or inherited; None if there was nothing.
    instances : list of (weakref, Recognition)
        What each instance is that was used. If one is not known, its own method runs.
    """

    def __init__(
        self, cls: type, names: MethodNames, n_threads: int | None = None
    ) -> None:
        self.names, self.n_threads = names, n_threads
        self.instances: list[tuple[ref[Any], Recognition]] = []
        self.reader_gradient = reader_gradient_of(cls, names.numerical_gradient)

        def numerical_gradient(net: Any, *args: Any, **kwargs: Any) -> Any:
            return self(net, *args, **kwargs)

        if callable(self.reader_gradient):
            functools.update_wrapper(numerical_gradient, self.reader_gradient)
        vars(numerical_gradient)[METHOD] = self
        self.function = numerical_gradient
        setattr(cls, names.numerical_gradient, numerical_gradient)

    def __getstate__(self) -> dict[str, Any]:
        """Return what another process needs. It has none of the instances."""
        return vars(self) | {"instances": []}

    def __call__(self, net: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the numerical gradient of an instance."""
        one = self.of(net)
        return (
            one(*args, **kwargs)
            if one
            else bound(self.reader_gradient, net)(*args, **kwargs)
        )

    def of(self, net: Any) -> Accelerated | None:
        """Return what computes the gradient of an instance; None if its own method is
        to run.
        """
        found = next(
            (known for instance, known in self.instances if instance() is net), None
        )
        if found is None:
            # A class that inherits from the accelerated one may have its own method,
            # which calls this one by super().
            if (
                being_tried.get()
                or accelerated_method(type(net), self.names.numerical_gradient)
                is not self
            ):
                return None
            found = self.at_first_use(net)
            self.remember(net, found)
        return Accelerated(net, found, self.n_threads) if found.known else None

    def remember(self, net: Any, recognition: Recognition) -> None:
        """Keep what an instance is, while it lives."""
        # without weak references, as in a class with __slots__, it is recognized each
        # time
        with suppress(TypeError):
            self.instances = [
                (ref(net), recognition),
                *(one for one in self.instances if one[0]() is not None),
            ]

    def at_first_use(self, net: Any) -> Recognition:
        """Recognize an instance."""
        return recognized_or_refused(net, self.names)


def accelerated_of(net: Any) -> Accelerated | None:
    """Return what computes the numerical gradient of an instance; None if the reader's
    own method is to run.
    """
    held = getattr(net, "__dict__", {})
    for name in [*held, *dir(type(net))]:
        one = held[name] if name in held else accelerated_method(type(net), name)
        if isinstance(one, AcceleratedMethod):
            one = one.of(net)
        if isinstance(one, Accelerated) and one.name == name:
            if one.net is not net:
                raise UnsupportedError(
                    f"{type(net).__name__} is a shallow copy of an accelerated network,"
                    " and has what computes the gradient of that one: call"
                    " secant.accelerate for the copy"
                )
            return one
    return None
