"""`recognize`: try out a copy of a network, and find the one with the same losses among those that Secant knows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from secant.acceleration.recognition.candidates import Candidate, candidates
from secant.acceleration.recognition.equivalent import equivalent, require_same_loss, rows
from secant.acceleration.recognition.explanations import Trial, described, parting, why_not
from secant.acceleration.recognition.isolation import isolated_globals
from secant.acceleration.recognition.layouts import READ_ONLY, layouts, sharing
from secant.acceleration.recognition.methods import USUAL, Methods
from secant.acceleration.recognition.probes import Form
from secant.acceleration.recognition.reader_gradient import recognized_gradient
from secant.acceleration.recognition.result import Recognition
from secant.acceleration.recognition.stand_in import reader_gradient_of
from secant.acceleration.recognition.subject import Subject
from secant.backends.activations import IN_WORDS
from secant.errors import SecantError, UnsupportedError
from secant.networks.batch import SoftTargets

_KNOWN_LOSSES = (
    "Secant knows the loss -sum(t log(y + offset)), divided by N or not, y the softmax of each row, of two layers with "
    f"{IN_WORDS} between them"
)


def recognize(
    net: Any,
    x: ArrayLike | None = None,
    t: ArrayLike | None = None,
    *,
    loss: str = USUAL.loss,
    numerical_gradient: str = USUAL.numerical_gradient,
) -> Recognition:
    """Find out which network an object of your own class is, by the numbers that its ``loss(x, t)`` returns.

    Parameters
    ----------
    net : object
        It has ``loss(x, t)`` and four arrays W1 (I, H), b1 (H,) or (1, H), W2 (H, O), b2 (O,) or (1, O), under any
        names, in a dict or as attributes. Neither they nor anything else of it is changed: a deep copy is tried out.
        If a constant is added to its loss, they have other numbers for one call of ``loss``.
    x, t : array_like, optional
        A mini-batch on which its loss is compared, too.
    loss, numerical_gradient : str
        The names of its methods, both of (x, t).

    Returns
    -------
    Recognition
        What it is, or why it is not known.

    Raises
    ------
    UnsupportedError
        If ``net`` is a class, or has no method of a name that was given.

    Examples
    --------
    >>> recognition = secant.recognize(secant.TwoLayerNet(6, 5, 4, rng=0))
    >>> recognition.known, recognition.hidden_activation, recognition.output_activation, recognition.log_offset
    (True, 'sigmoid', 'sigmoid', 1e-07)
    """
    if isinstance(net, type):
        raise UnsupportedError(f"net must be an instance to be recognized, got the class {net.__name__}")
    methods = Methods(loss, numerical_gradient)
    methods.require_chosen(net)
    return recognized(net, reader_gradient_of(type(net), numerical_gradient), x, t, methods)


recognise = recognize  # the British spelling


def recognized(
    net: Any, method: Any, x: ArrayLike | None = None, t: ArrayLike | None = None, methods: Methods = USUAL
) -> Recognition:
    """As `recognize`, with the reader's numerical gradient, as it stands in a class; None if there is none.

    A network that is known for one sample at a time alone is recognized where ``x`` is one sample.
    """
    recognition = _tried(net, method, x, t, methods)
    if not recognition.known and READ_ONLY in recognition.sentence:  # it writes to a large array, which copies share
        token = sharing.set(False)
        try:
            recognition = _tried(net, method, x, t, methods)
        finally:
            sharing.reset(token)
    return recognition


def _tried(net: Any, method: Any, x: ArrayLike | None, t: ArrayLike | None, methods: Methods) -> Recognition:
    name = type(net).__name__
    try:
        with isolated_globals() as trial:
            if not callable(getattr(net, methods.loss, None)):
                raise UnsupportedError(methods.without_loss(net))
            recognition = _recognized(net, method, methods, alone=_is_one_sample(x))
            trial.may_draw = False  # else it would not be known
            if x is not None and t is not None:
                require_same_loss(net, recognition, equivalent(net, recognition).loss(rows(x), t), x, t)
    except SecantError as error:
        return Recognition(False, f"{name} is not known: {error}", methods=methods)
    return recognition


def _is_one_sample(x: Any) -> bool:
    try:
        shape = np.shape(x)
    except ValueError:  # such as a list of unequal lists
        return False
    return len(shape) == 1 or shape[:1] == (1,)


def _recognized(net: Any, method: Any, methods: Methods, *, alone: bool) -> Recognition:
    refusal: UnsupportedError | None = None
    for layout in layouts(net):
        subject = Subject(net, layout, methods)
        tried, failure = subject.trials(alone=False)
        form, fitting = _fitting(subject, tried)
        if len(fitting) == 1:
            return _named(net, method, subject, tried, form, fitting[0], alone=False)
        if alone:
            of_one, _ = subject.trials(alone=True)
            form_of_one, several = _fitting(subject, of_one)
            if len(means := [candidate for candidate in several if not candidate.scale.summed]) == 1:  # or both are
                return _named(net, method, subject, of_one, form_of_one, means[0], alone=True)
        refusal = refusal or _refusal(subject, tried, failure, form, fitting)
    assert refusal is not None
    raise refusal


def _fitting(subject: Subject, tried: dict[Form, list[Trial]]) -> tuple[Form, list[Candidate]]:
    """The candidates with the losses of the network, for the first form of targets for which there are any."""
    for form in _BATCHES:
        if form in tried:
            near = candidates(subject.sizes, form, subject.loss)
            if fitting := [c for c in near if all(c.agrees(probe, loss) for probe, loss in tried[form])]:
                return form, fitting
    return next((form for form in _BATCHES if form in tried), "one-hot"), []


_BATCHES: tuple[Form, ...] = ("one-hot", "labels")


def _refusal(
    subject: Subject, tried: dict[Form, list[Trial]], failure: str, form: Form, fitting: list[Candidate]
) -> UnsupportedError:
    """Say why a network is not known."""
    if fitting:
        return UnsupportedError(f"its loss cannot tell apart {' and '.join(map(described, fitting))}")
    if form not in tried:
        return UnsupportedError(failure)
    try:
        subject.require_repeatable(*tried[form][0])
        if unread := subject.unread(tried[form]):
            named = ", ".join(unread)
            return UnsupportedError(f"its loss did not change with {named}: it may read other arrays, or none")
        near = candidates(subject.sizes, form, subject.loss)
        reason = why_not(tried[form], near, subject.loss)
        return UnsupportedError(reason if ". " in reason else f"{reason}. {_KNOWN_LOSSES}")  # which says what to do
    except UnsupportedError as error:
        return error


def _targets(candidate: Candidate, tried: dict[Form, list[Trial]]) -> tuple[tuple[Form, ...], SoftTargets]:
    """The forms of targets for which the loss is the candidate's, and what soft targets mean to it."""
    by_argmax = any(candidate.agrees(*trial, argmax=True) for trial in tried.get("soft", []))
    right = []
    for form, trials in tried.items():
        agreed = [candidate.agrees(*trial, argmax=by_argmax) for trial in trials]
        if all(agreed):
            right.append(form)
        elif any(agreed):  # not another meaning of such targets: another loss for some of them
            raise UnsupportedError(parting(candidate, trials, agreed))
    return tuple(right), "argmax" if by_argmax else "weights"


def _named(
    net: Any,
    method: Any,
    subject: Subject,
    tried: dict[Form, list[Trial]],
    form: Form,
    candidate: Candidate,
    *,
    alone: bool,
) -> Recognition:
    subject.require_repeatable(*tried[form][-1])
    if candidate.scale.constant:
        subject.require_constant(net, candidate, tried[form][-1].probe)
    layout = subject.layout
    right, soft_targets = _targets(candidate, tried)
    forms = [form, *(other for other in right if other != form)]
    gradient = recognized_gradient(
        net, subject.methods, method, layout, candidate, forms, argmax=soft_targets == "argmax", alone=alone
    )
    rows = "by argmax" if soft_targets == "argmax" else "as weights" if "soft" in right else "one-hot only"
    taken = "labels only" if form == "labels" else rows if "labels" in right else f"{rows}, no labels"
    sizes = "-".join(map(str, subject.sizes))
    types = sorted({str(array.dtype) for array in layout.arrays(net)})
    kind = "" if types == ["float64"] else f", {' and '.join(types)}"
    network = f"{sizes}, {described(candidate)}, targets {taken}{', one sample at a time' * alone}"
    sentence = f"{type(net).__name__} of {layout}{kind}: {network}; {gradient.sentence}"
    return Recognition(
        known=True,
        sentence=sentence,
        **candidate._asdict(),
        soft_targets=soft_targets,
        sizes=subject.sizes,
        keys=layout.keys,
        holder=layout.holder,
        targets=right,
        h=gradient.h,
        gradient_keys=gradient.keys,
        order=gradient.order,
        methods=subject.methods,
    )
