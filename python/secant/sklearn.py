"""`TwoLayerNetClassifier`: the network as a scikit-learn estimator, for pipelines,
cross-validation and grid searches.

Design: scikit-learn checks samples and labels, `secant.train` trains. This module
connects the two: names, labels, the validation split, and when to stop.
"""

from __future__ import annotations

import math
import warnings
from functools import partial
from typing import Any, Literal, NamedTuple, Self, get_args

import numpy as np

from secant._common.validation import Array, Floats, finite_number, one_of, positive_int
from secant.backends.base import HiddenActivation, OutputActivation
from secant.errors import (
    DTypeError,
    MissingExtraError,
    UnsupportedError,
    ValueRangeError,
)
from secant.networks.two_layer import TwoLayerNet
from secant.training.arguments import GradientKind
from secant.training.history import History
from secant.training.loop import train
from secant.training.stopping import Stopping, mean_loss

try:
    import joblib
    from sklearn.base import BaseEstimator, ClassifierMixin
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.model_selection import train_test_split
    from sklearn.utils import check_random_state, gen_batches
    from sklearn.utils.multiclass import check_classification_targets, unique_labels
    from sklearn.utils.validation import check_is_fitted, validate_data
except ModuleNotFoundError as error:
    raise MissingExtraError(
        "secant.sklearn needs scikit-learn: pip install scikit-learn"
    ) from error

# a very wrong probability still has a gradient, and products are not subnormal
_LOG_OFFSET = 1e-100
_LEARNED = 0.99  # of the loss of a guess: what is above has learned nothing
# times the loss of equal probabilities: new weights have less, where X is scaled
_DIVERGED = 2.0
# the mean size of the largest feature: 0.8 after StandardScaler, at most 1 after
# MinMaxScaler
_SCALED = 0.1, 3.0
# elements of sparse samples that `predict_proba` makes dense: 32 MB
_DENSE_AT_ONCE = 2**22


class TwoLayerNetClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc] # scikit-learn has no types
    """A classifier with one hidden layer, trained by gradient descent on central
    differences.

    Parameters that are shared with `sklearn.neural_network.MLPClassifier` have the same
    meanings there. Scale the features, as by `sklearn.preprocessing.StandardScaler`:
    the default learning rate is made for that.

    Parameters
    ----------
    hidden_size : int
        The number of hidden units.
    hidden_activation : str
        Activation of the hidden units, one of those of `secant.TwoLayerNet`.
    output_activation : {"identity", "sigmoid"}
        Activation before the softmax. "sigmoid" is that of the course notes;
        probabilities then stay far from 0 and 1.
    gradient : {"numerical", "backprop"}
        Central differences with h = 1e-4, or backpropagation.
    learning_rate_init : float
        The learning rate. It is constant.
    batch_size : int or "auto"
        The number of samples in a mini-batch, at most all; "auto" is 200.
    max_iter : int
        The number of epochs at most.
    shuffle : bool
        Whether to shuffle the samples before every epoch.
    tol : float
        Training ends when the loss, or with ``early_stopping`` the validation score,
        has improved by less than this in more than ``n_iter_no_change`` epochs in a
        row.
    n_iter_no_change : int or numpy.inf
        See ``tol``; infinity trains for ``max_iter`` epochs.
    early_stopping : bool
        Whether to hold out some samples, to stop by the score on them, and to keep the
        weights with the best one.
    validation_fraction : float
        The share of the samples that ``early_stopping`` holds out, the same of every
        class.
    random_state : int, numpy.random.RandomState or None
        Source of the validation split, the initial weights and the order of the
        samples. With an int, every call of `fit` gives bitwise the same result; None
        uses NumPy's global stream.
    n_jobs : int or None
        The number of threads in `fit`: None is 1, -1 as many as OMP_NUM_THREADS or
        threadpoolctl allow, -2 one less than there are processors. The result does not
        depend on it.
    warm_start : bool
        Whether `fit` goes on from the weights that are there.
    verbose : bool
        Whether to show progress: lines with the accuracies and, in a terminal or a
        notebook, a bar.

    Attributes
    ----------
    classes_ : ndarray, (O,)
        The labels, in order.
    n_features_in_ : int
        The number of features.
    feature_names_in_ : ndarray of str, (I,)
        Their names, if X was a data frame with columns named by strings.
    net_ : TwoLayerNet
        The network.
    coefs_, intercepts_ : list of ndarray
        Its weights W1 (I, H) and W2 (H, O), and its biases b1 (H,) and b2 (O,), not
        copied.
    loss_curve_ : list of float
        The mean loss of the mini-batches of each epoch, each taken after its update,
        since the weights were drawn.
    loss_ : float
        The last of them.
    n_iter_ : int
        The number of epochs since the weights were drawn; one that was interrupted
        counts.
    validation_scores_ : list of float or None
        The accuracy on the held-out samples after each epoch, with ``early_stopping``.
    best_validation_score_ : float or None
        The best of the last call of `fit`, and that of the weights which it kept.

    Notes
    -----
    Initial weights are normally distributed, with a variance of 2 / I for the I inputs
    of a ReLU, 1 / I for other units. Sparse X is made dense in `fit`, 8 bytes per
    element, 4 in float32; in `predict_proba` 32 MB at a time.

    Ctrl-C ends `fit` with a KeyboardInterrupt. The estimator can be used then: it has
    the weights of the iterations that were complete.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> X, y = load_iris(return_X_y=True)
    >>> model = make_pipeline(
    ...     StandardScaler(), TwoLayerNetClassifier(batch_size=32, random_state=0)
    ... ).fit(X, y)
    >>> model.score(X, y) > 0.95
    True
    >>> model.predict_proba(X[:1]).round(2)
    array([[1., 0., 0.]])
    """

    net_: TwoLayerNet
    classes_: Array
    loss_curve_: list[float]
    validation_scores_: list[float] | None
    best_validation_score_: float | None

    def __init__(
        self,
        hidden_size: int = 100,
        *,
        hidden_activation: HiddenActivation = "relu",
        output_activation: OutputActivation = "identity",
        gradient: GradientKind = "numerical",
        learning_rate_init: float = 0.1,
        batch_size: int | Literal["auto"] = "auto",
        max_iter: int = 200,
        shuffle: bool = True,
        tol: float = 1e-4,
        n_iter_no_change: float = 10,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        random_state: int | np.random.RandomState | None = None,
        n_jobs: int | None = None,
        warm_start: bool = False,
        verbose: bool = False,
    ) -> None:
        self.hidden_size = hidden_size
        self.hidden_activation = hidden_activation
        self.output_activation = output_activation
        self.gradient = gradient
        self.learning_rate_init = learning_rate_init
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.warm_start = warm_start
        self.verbose = verbose

    @property
    def coefs_(self) -> list[Floats]:
        """The weights W1 (I, H) and W2 (H, O)."""
        return [self.net_.params["W1"], self.net_.params["W2"]]

    @property
    def intercepts_(self) -> list[Floats]:
        """The biases b1 (H,) and b2 (O,)."""
        return [self.net_.params["b1"], self.net_.params["b2"]]

    def fit(self, X: Any, y: Any) -> Self:
        """Train a network, or with ``warm_start`` the one that is there.

        Parameters
        ----------
        X : array_like, sparse matrix or data frame, (N, I)
        y : array_like, (N,)
            Labels: text, numbers or booleans. With ``warm_start`` those of
            ``classes_``.

        Returns
        -------
        TwoLayerNetClassifier
            The estimator itself.

        Warns
        -----
        ConvergenceWarning
            If training went on until ``max_iter``, or ended with a loss no better than
            that of probabilities which are the shares of the classes.

        Raises
        ------
        ValueError, TypeError
            X, y or a parameter is not what it must be.
        ValueRangeError
            Training diverged.
        KeyboardInterrupt
            Ctrl-C was pressed, and the iteration was completed.

        Examples
        --------
        >>> X, y = [[-1.0], [1.0]] * 50, ["left", "right"] * 50
        >>> TwoLayerNetClassifier(random_state=0).fit(X, y).score(X, y)
        1.0
        """
        early = self.early_stopping
        new = not (self.warm_start and hasattr(self, "net_"))
        epochs, patience = (
            positive_int("max_iter", self.max_iter),
            self.n_iter_no_change,
        )
        if patience != math.inf:
            patience = positive_int("n_iter_no_change", patience)
        tol = finite_number("tol", self.tol, least=0)
        run = self._begin(X, y, None, new=new, early=early, seeded=True)
        stopping = Stopping(run.sizes, tol, patience)
        try:
            self._train(run, epochs, stopping)
        finally:
            if stopping.scores:
                self.net_.params = stopping.best_params
                self.validation_scores_ = (
                    self.validation_scores_ or []
                ) + stopping.scores
                self.best_validation_score_ = stopping.best
        if stopping.ended and self.loss_ > _LEARNED * (guess := _entropy(run.labels)):
            has_diverged = self.loss_ > _DIVERGED * math.log(max(2, len(self.classes_)))
            fault = (
                "the loss is worse than guessing"
                if has_diverged
                else "training has learned nothing"
            )
            remedy = _remedy("lower" if has_diverged else "change", run.samples)
            losses = f"its loss is {self.loss_:.3g}, that of a guess {guess:.3g}"
            warnings.warn(
                f"{fault}: {remedy} ({losses})", ConvergenceWarning, stacklevel=2
            )
        elif not stopping.ended and patience != math.inf:
            remedy = "raise max_iter, learning_rate_init or tol"
            warnings.warn(
                f"training did not converge in max_iter={epochs} epochs: {remedy}",
                ConvergenceWarning,
                stacklevel=2,
            )
        return self

    def partial_fit(self, X: Any, y: Any, classes: Any = None) -> Self:
        """Train for one epoch, on the weights that are there or on new ones.

        Parameters
        ----------
        X, y
            As for `fit`.
        classes : array_like, (O,), optional
            All labels that any call will have: needed in the first call.

        Returns
        -------
        TwoLayerNetClassifier
            The estimator itself.

        Raises
        ------
        ValueError, TypeError
            As `fit` does; also if ``classes`` is missing or has changed.
        UnsupportedError
            With ``early_stopping``.

        Examples
        --------
        >>> model = TwoLayerNetClassifier(random_state=0)
        >>> for x in ([-1.0], [-2.0], [1.0], [2.0]):
        ...     model = model.partial_fit(
        ...         [x], ["left" if x[0] < 0 else "right"], classes=["left", "right"]
        ...     )
        >>> model.n_iter_
        4
        """
        if self.early_stopping:
            raise UnsupportedError(
                "partial_fit needs early_stopping=False: it cannot hold out samples,"
                " got True"
            )
        new = not hasattr(self, "net_")
        if new and classes is None:
            raise ValueRangeError(
                "classes must be given in the first call of partial_fit, got None"
            )
        self._train(
            self._begin(X, y, classes, new=new, early=False, seeded=new), epochs=1
        )
        return self

    def predict_proba(self, X: Any) -> Floats:
        """Return the probabilities of the classes, in the order of ``classes_``.

        Parameters
        ----------
        X : array_like, sparse matrix or data frame, (N, I)

        Returns
        -------
        ndarray of float64, (N, O)

        Raises
        ------
        NotFittedError
            Before the first `fit` or `partial_fit`.
        ValueError, TypeError
            If X does not hold finite numbers, or has other features than in `fit`.

        Examples
        --------
        >>> X, y = [[-1.0], [1.0]] * 50, ["left", "right"] * 50
        >>> model = TwoLayerNetClassifier(random_state=0).fit(X, y)
        >>> model.predict_proba([[-1.0]]).round(1)
        array([[1., 0.]])
        """
        check_is_fitted(self)
        x = self._samples(X, reset=False)
        rows = (
            len(x)
            if isinstance(x, np.ndarray)
            else max(1, _DENSE_AT_ONCE // x.shape[1])
        )
        return np.concatenate(
            [
                self.net_.predict(_dense(x[block]))
                for block in gen_batches(x.shape[0], rows)
            ]
        )

    def predict_log_proba(self, X: Any) -> Floats:
        """Return the logarithms of the probabilities.

        One that has underflowed to 0 counts as 2e-308.

        Parameters
        ----------
        X : array_like, sparse matrix or data frame, (N, I)

        Returns
        -------
        ndarray of float64, (N, O)

        Raises
        ------
        NotFittedError
            Before the first `fit` or `partial_fit`.
        ValueError, TypeError
            If X does not hold finite numbers, or has other features than in `fit`.

        Examples
        --------
        >>> X, y = [[-1.0], [1.0]] * 50, ["left", "right"] * 50
        >>> model = TwoLayerNetClassifier(random_state=0).fit(X, y)
        >>> model.predict_log_proba([[-1.0]]).shape
        (1, 2)
        """
        return np.log(np.maximum(self.predict_proba(X), np.finfo(np.float64).tiny))

    def predict(self, X: Any) -> Array:
        """Return the most probable label of each sample.

        Parameters
        ----------
        X : array_like, sparse matrix or data frame, (N, I)

        Returns
        -------
        ndarray, (N,)

        Raises
        ------
        NotFittedError
            Before the first `fit` or `partial_fit`.
        ValueError, TypeError
            If X does not hold finite numbers, or has other features than in `fit`.

        Examples
        --------
        >>> X, y = [[-1.0], [1.0]] * 50, ["left", "right"] * 50
        >>> model = TwoLayerNetClassifier(random_state=0).fit(X, y)
        >>> model.predict([[-2.0], [2.0]])
        array(['left', 'right'], dtype='<U5')
        """
        probabilities = self.predict_proba(X)
        labels: Array = self.classes_[probabilities.argmax(axis=1)]
        return labels

    def __sklearn_tags__(self) -> Any:
        """Return the tags of scikit-learn: sparse samples are allowed."""
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        """Return whether there is a network."""
        return hasattr(self, "net_")

    def _begin(
        self, X: Any, y: Any, classes: Any, *, new: bool, early: bool, seeded: bool
    ) -> _Run:
        """Check everything, and make the network to train."""
        x, y = self._samples(X, y, reset=new)
        known, labels = self._labels(y, classes, new)
        if seeded:
            self._random_state = check_random_state(self.random_state)
        x, x_test, t, t_test = (
            self._split(x, labels) if early else (x, None, labels, None)
        )
        batch_size = (
            200
            if self.batch_size == "auto"
            else positive_int("batch_size", self.batch_size)
        )
        options = {
            "batch_size": min(batch_size, len(t)),
            "learning_rate": finite_number(
                "learning_rate_init", self.learning_rate_init, above=0
            ),
            "gradient": one_of("gradient", self.gradient, get_args(GradientKind)),
            "sampling": "epoch" if self.shuffle else "ordered",
            "n_threads": _threads(self.n_jobs),
            "progress": self.verbose,
            "rng": self._random_state,
            "accuracy_after": "last",
        }
        if not new:
            self._require_same_network()
            self.best_validation_score_ = None
        else:
            self.net_, self.classes_ = self._network(x.shape[1], len(known)), known
            self.loss_curve_, self.loss_, self.n_iter_ = [], math.nan, 0
            self.validation_scores_, self.best_validation_score_ = None, None
        sizes = [len(t[batch]) for batch in gen_batches(len(t), options["batch_size"])]
        samples = _dense(x)
        return _Run(
            partial(train, self.net_, samples, t, _dense(x_test), t_test, **options),
            samples,
            t,
            sizes,
        )

    def _samples(self, X: Any, *y: Any, reset: bool) -> Any:
        """Return X, and y if it is given, checked.

        Record the features, or compare them with the recorded ones.
        """
        for name, array in (("X", X), *(("y", array) for array in y)):
            if np.ma.isMaskedArray(array):
                raise DTypeError(
                    f"{name} must be a plain array, got a masked one: its mask would be"
                    " lost"
                )
        return validate_data(
            self,
            X,
            *y,
            reset=reset,
            accept_sparse="csr",
            dtype=(np.float64, np.float32),
        )

    def _labels(self, y: Array, classes: Any, new: bool) -> tuple[Array, Array]:
        """Return the classes, which a new network takes from y or ``classes``, and y as
        indices of them.
        """
        check_classification_targets(y)
        given = np.unique(y if classes is None else classes)
        known = given if new else self.classes_
        if classes is not None and not np.array_equal(given, known):
            raise ValueRangeError(
                f"classes must be those of the first call, {known}, got {classes!r}"
            )
        if unknown := set(unique_labels(known, y).tolist()) - set(known.tolist()):
            raise ValueRangeError(
                f"y must hold labels of classes_, {known}, got {sorted(unknown)}"
            )
        return known, np.searchsorted(known, y)

    def _require_same_network(self) -> None:
        """Raise an error that names a parameter that differs from the existing
        network's.
        """
        kept = {"hidden_size": len(self.net_.params["b1"])}
        kept |= {
            name: getattr(self.net_, name)
            for name in ("hidden_activation", "output_activation")
        }
        for name, value in kept.items():
            if (now := getattr(self, name)) != value:
                raise ValueRangeError(
                    f"{name} must be {value!r} as long as weights are kept, got {now!r}"
                )

    def _split(self, x: Any, labels: Array) -> Any:
        """Return the samples to train on and to validate on, and the labels of both."""
        share = finite_number("validation_fraction", self.validation_fraction, above=0)
        try:
            return train_test_split(
                x,
                labels,
                test_size=share,
                stratify=labels,
                random_state=self._random_state,
            )
        except ValueError as error:
            raise ValueRangeError(
                "early_stopping holds out some samples of every class,"
                f" validation_fraction={share}: {error}"
            ) from error

    def _network(self, inputs: int, classes: int) -> TwoLayerNet:
        """Return a new network, with weights on a scale that lets it learn."""
        net = TwoLayerNet(
            inputs,
            self.hidden_size,
            classes,
            weight_init_std=1.0,
            log_offset=_LOG_OFFSET,
            hidden_activation=self.hidden_activation,
            output_activation=self.output_activation,
            rng=self._random_state,
        )
        net.params["W1"] *= math.sqrt(
            (2 if self.hidden_activation == "relu" else 1) / inputs
        )
        net.params["W2"] *= math.sqrt(1 / self.hidden_size)
        return net

    def _train(self, run: _Run, epochs: int, stopping: Stopping | None = None) -> None:
        """Train for some epochs, and record their losses, also if training is
        interrupted.
        """
        history, sizes = History(), run.sizes
        try:
            run.train(
                n_iterations=epochs * len(sizes), history=history, callback=stopping
            )
        except ValueRangeError as error:
            raise ValueRangeError(
                f"training diverged: {_remedy('lower', run.samples)} ({error})"
            ) from error
        finally:
            losses = history.train_loss_list
            of_epochs = [
                losses[first : first + len(sizes)]
                for first in range(0, len(losses), len(sizes))
            ]
            self.loss_curve_ = self.loss_curve_ + [
                mean_loss(epoch, sizes) for epoch in of_epochs
            ]
            self.n_iter_ = len(self.loss_curve_)
            self.loss_ = self.loss_curve_[-1] if self.loss_curve_ else math.nan


class _Run(NamedTuple):
    """What trains a network, the samples (N, I), their labels (N,), and the sizes of
    the mini-batches of an epoch.
    """

    train: partial[History]
    samples: Array
    labels: Array
    sizes: list[int]


def _entropy(labels: Array) -> float:
    """Return the mean loss if the probability of each class were its share of the
    labels.
    """
    shares = np.unique(labels, return_counts=True)[1] / len(labels)
    return float(-(shares * np.log(shares)).sum())


def _remedy(change: str, samples: Array) -> str:
    """Return what helps a training that failed: another learning rate or, unless they
    are scaled, scaled samples.
    """
    with np.errstate(over="ignore"):
        largest = np.abs(samples).mean(axis=0).max()
    least, most = _SCALED
    is_scaled = least <= largest <= most
    return f"{change} learning_rate_init" + (
        "" if is_scaled else ", or scale X, as by StandardScaler"
    )


def _dense(x: Any) -> Any:
    return x if x is None or isinstance(x, np.ndarray) else x.toarray()


def _threads(n_jobs: Any) -> int | None:
    """Return the number of threads, as scikit-learn counts jobs; None leaves it to the
    backend.
    """
    if n_jobs is None:
        return 1
    if not isinstance(n_jobs, int | np.integer) or n_jobs == 0:
        raise ValueRangeError(
            f"n_jobs must be None or a whole number other than 0, got {n_jobs!r}"
        )
    return None if n_jobs == -1 else int(joblib.effective_n_jobs(n_jobs))
