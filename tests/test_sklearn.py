"""`TwoLayerNetClassifier`: what scikit-learn asks of an estimator, and that it trains
as `secant.train` does.
"""

import doctest
import math
import pickle
import re
import signal

import numpy as np
import pytest

import secant
from secant.backends.activations import ACTIVATIONS
from secant.errors import UnsupportedError, ValueRangeError

sklearn = pytest.importorskip("sklearn")
import joblib  # noqa: E402 - comes with scikit-learn, as do those that follow
import scipy.sparse  # noqa: E402
from sklearn.base import clone  # noqa: E402
from sklearn.calibration import CalibratedClassifierCV  # noqa: E402
from sklearn.datasets import load_digits, load_iris  # noqa: E402
from sklearn.ensemble import VotingClassifier  # noqa: E402
from sklearn.exceptions import ConvergenceWarning  # noqa: E402
from sklearn.inspection import permutation_importance  # noqa: E402
from sklearn.linear_model import LogisticRegression  # noqa: E402
from sklearn.model_selection import cross_val_score, train_test_split  # noqa: E402
from sklearn.neural_network import MLPClassifier  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import StandardScaler, scale  # noqa: E402
from sklearn.utils.estimator_checks import parametrize_with_checks  # noqa: E402

import secant.sklearn  # noqa: E402
from secant.sklearn import TwoLayerNetClassifier  # noqa: E402
from secant.training.stopping import Stopping  # noqa: E402

X, y = load_iris(return_X_y=True)
X = scale(X)
NAMES = load_iris().target_names[y]
SPARSE = np.random.RandomState(0).normal(size=(60, 30)) * (
    np.random.RandomState(1).uniform(size=(60, 30)) < 0.2
)
ENDLESS = {"n_iter_no_change": np.inf}


def short(**parameters):
    """Three epochs, without a warning that they are too few."""
    return TwoLayerNetClassifier(
        **{"hidden_size": 8, "max_iter": 3, "random_state": 0} | ENDLESS | parameters
    )


def bits(model):
    return [array.tobytes() for array in (*model.coefs_, *model.intercepts_)]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks([TwoLayerNetClassifier()])
def test_what_scikit_learn_asks_of_an_estimator(compiled, estimator, check):
    check(estimator)


@pytest.mark.nightly
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks(
    [
        TwoLayerNetClassifier(
            hidden_activation="tanh", gradient="backprop", shuffle=False, n_jobs=-1
        )
    ]
)
def test_what_it_asks_of_one_with_other_settings(compiled, estimator, check):
    check(estimator)


def scaled_digits():
    images, digits = load_digits(return_X_y=True)
    return train_test_split(
        scale(images), digits, test_size=0.25, random_state=0, stratify=digits
    )


@pytest.mark.slow
def test_the_defaults_learn_at_once_and_converge(compiled):
    # of 150 samples
    assert (
        TwoLayerNetClassifier(batch_size=32, random_state=0).fit(X, y).score(X, y)
        > 0.97
    )
    images, others, digits, theirs = scaled_digits()
    model = TwoLayerNetClassifier(random_state=0).fit(images, digits)
    peer = MLPClassifier(random_state=0).fit(images, digits)
    assert model.score(others, theirs) > max(0.96, peer.score(others, theirs) - 0.015)
    assert model.n_iter_ < model.max_iter
    assert model.loss_ == model.loss_curve_[-1] < 0.02 < model.loss_curve_[0]


def trained_by_hand(samples, labels, hidden_activation="relu", **options):
    """The network of `short`, trained by `secant.train`, and the record of that."""
    numbers = np.random.RandomState(0)
    net = secant.TwoLayerNet(
        4,
        8,
        3,
        1.0,
        hidden_activation=hidden_activation,
        output_activation="identity",
        log_offset=1e-100,
        rng=numbers,
    )
    net.params["W1"] *= math.sqrt((2 if hidden_activation == "relu" else 1) / 4)
    net.params["W2"] *= math.sqrt(1 / 8)
    return net, secant.train(
        net, samples, labels, rng=numbers, progress=False, **options
    )


@pytest.mark.parametrize(
    ("parameters", "sampling", "batch_size"),
    [
        ({}, "epoch", 200),
        ({"batch_size": 1000}, "epoch", 450),
        ({"shuffle": False}, "ordered", 200),
        ({"shuffle": False, "batch_size": 40}, "ordered", 40),
    ],
)
def test_mini_batches_are_as_the_parameters_say(parameters, sampling, batch_size):
    samples, labels = np.tile(X, (3, 1)), np.tile(y, 3)
    model = short(**parameters).fit(samples, labels)
    iterations = 3 * math.ceil(450 / batch_size)
    net, _ = trained_by_hand(
        samples,
        labels,
        n_iterations=iterations,
        batch_size=batch_size,
        sampling=sampling,
    )
    assert bits(model) == [
        net.params[key].tobytes() for key in ("W1", "W2", "b1", "b2")
    ]


@pytest.mark.parametrize("hidden_activation", ACTIVATIONS)
@pytest.mark.parametrize("gradient", ["numerical", "backprop"])
def test_it_is_the_network_that_train_makes(hidden_activation, gradient):
    options = {
        "hidden_activation": hidden_activation,
        "gradient": gradient,
        "batch_size": 40,
    }
    model = short(learning_rate_init=0.3, **options).fit(X, y)
    net, history = trained_by_hand(
        X, y, n_iterations=12, learning_rate=0.3, sampling="epoch", **options
    )
    assert bits(model) == [
        net.params[key].tobytes() for key in ("W1", "W2", "b1", "b2")
    ]
    assert np.array_equal(model.predict_proba(X), net.predict(X))
    losses = np.reshape(history.train_loss_list, (3, 4))
    assert np.allclose(
        model.loss_curve_, losses @ [40, 40, 40, 30] / 150, rtol=1e-15, atol=0
    )
    assert (model.n_iter_, model.loss_) == (3, model.loss_curve_[-1])
    assert (model.validation_scores_, model.best_validation_score_) == (None, None)


@pytest.mark.parametrize("shuffle", [True, False])
def test_epochs_of_partial_fit_are_those_of_fit(shuffle):
    model, step_by_step = short(shuffle=shuffle).fit(X, NAMES), short(shuffle=shuffle)
    for _ in range(3):
        assert (
            step_by_step.partial_fit(
                X, NAMES, classes=["virginica", "setosa", "versicolor"]
            )
            is step_by_step
        )
    assert bits(step_by_step) == bits(model)
    assert step_by_step.loss_curve_ == model.loss_curve_
    assert step_by_step.n_iter_ == 3


def test_a_random_state_gives_the_same_bits_whatever_the_global_state_and_the_threads():
    np.random.seed(1)
    before = np.random.get_state()[1].copy()
    wanted = short(early_stopping=True).fit(X, y)
    assert np.array_equal(np.random.get_state()[1], before)
    np.random.seed(2)
    for n_jobs in (None, 1, 2, -1, -2, 64):
        assert bits(short(early_stopping=True, n_jobs=n_jobs).fit(X, y)) == bits(wanted)
    assert bits(wanted.fit(X, y)) == bits(
        short(early_stopping=True, random_state=np.random.RandomState(0)).fit(X, y)
    )
    assert bits(short(early_stopping=True, random_state=1).fit(X, y)) != bits(wanted)
    unseeded = short(random_state=None).fit(X, y)
    np.random.seed(2)
    assert bits(short(random_state=None).fit(X, y)) == bits(unseeded)


@pytest.mark.parametrize(
    ("n_jobs", "threads"),
    # 0: as many as the backend takes
    [(None, 1), (1, 1), (3, 3), (-1, 0), (-2, max(1, joblib.cpu_count() - 1))],
)
def test_jobs_are_threads_of_the_backend(asked, n_jobs, threads):
    short(n_jobs=n_jobs).fit(X, y)
    assert {n_threads for _, _, n_threads in asked} == {threads}


@pytest.mark.parametrize(
    "labels",
    [NAMES, y - 5, y == 1, NAMES.tolist()],
    ids=["str", "negative", "bool", "list"],
)
def test_labels_of_any_type(labels):
    model = TwoLayerNetClassifier(random_state=0, max_iter=100, **ENDLESS).fit(
        X, labels
    )
    assert np.array_equal(model.classes_, np.unique(labels))
    assert model.predict(X).dtype == model.classes_.dtype == np.asarray(labels).dtype
    assert (
        np.mean(model.predict(X) == np.asarray(labels)) == model.score(X, labels) > 0.9
    )


@pytest.mark.parametrize("classes", [2, 3])
def test_decisions_and_logarithms_are_those_of_the_probabilities(classes):
    model = short(max_iter=30).fit(X[y < classes], y[y < classes])
    p = model.predict_proba(X)
    assert np.allclose(p.sum(axis=1), 1)
    assert np.array_equal(model.predict_log_proba(X), np.log(p))
    far = 1e4 * X
    probabilities = model.predict_proba(far)
    assert 0 in probabilities
    assert np.array_equal(
        model.predict_log_proba(far), np.log(np.maximum(probabilities, 2.0**-1022))
    )


def test_the_weights_of_the_attributes_are_those_of_the_network():
    model = short().fit(X, y)
    for held, keys in ((model.coefs_, ("W1", "W2")), (model.intercepts_, ("b1", "b2"))):
        assert all(
            array is model.net_.params[key]
            for array, key in zip(held, keys, strict=True)
        )
    model.coefs_[1][...] = 0
    model.intercepts_[1][...] = [0, 1, 0]
    assert (model.predict(X) == 1).all()


def test_early_stopping_keeps_the_weights_with_the_best_score(compiled):
    images, _, digits, _ = scaled_digits()
    model = TwoLayerNetClassifier(
        random_state=0, early_stopping=True, validation_fraction=0.2
    ).fit(images, digits)
    _, held_out, _, theirs = train_test_split(
        images,
        digits,
        test_size=0.2,
        stratify=digits,
        random_state=np.random.RandomState(0),
    )
    scores = model.validation_scores_
    assert (
        model.score(held_out, theirs)
        == model.best_validation_score_
        == max(scores)
        > 0.95
    )
    assert len(scores) == len(model.loss_curve_) == model.n_iter_ < model.max_iter
    best = scores.index(max(scores))
    shorter = clone(model).set_params(max_iter=best + 1, **ENDLESS).fit(images, digits)
    assert bits(shorter) == bits(model)


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize(("tol", "n_iter_no_change"), [(1e-2, 3), (0, 1)])
def test_training_ends_when_there_is_no_progress(early_stopping, tol, n_iter_no_change):
    model = TwoLayerNetClassifier(
        batch_size=32,
        random_state=0,
        early_stopping=early_stopping,
        tol=tol,
        n_iter_no_change=n_iter_no_change,
    ).fit(X, y)
    values = (
        model.validation_scores_
        if early_stopping
        else [-loss for loss in model.loss_curve_]
    )
    progress = [
        value >= max(values[:i], default=-np.inf) + tol
        for i, value in enumerate(values)
    ]
    last = max(i for i, better in enumerate(progress) if better)
    assert len(values) - 1 - last == n_iter_no_change + 1
    assert all(
        progress[i] or any(progress[i - n_iter_no_change : i])
        for i in range(n_iter_no_change, last)
    )


def test_training_that_did_not_converge_or_learned_nothing_warns():
    with pytest.warns(
        ConvergenceWarning,
        match="did not converge in max_iter=2 epochs: raise max_iter",
    ):
        TwoLayerNetClassifier(max_iter=2).fit(X, y)


LOWER = "the loss is worse than guessing: lower learning_rate_init"
CHANGE = "training has learned nothing: change learning_rate_init"
SCALE = ", or scale X, as by StandardScaler"
ONE_IN_A_HUNDRED = np.arange(150) % 100 == 0


@pytest.mark.parametrize(
    ("samples", "labels", "rate", "hint"),
    [
        pytest.param(1000 * X + 1000, y, 0.1, LOWER + SCALE, id="large"),
        pytest.param(
            np.where(np.arange(4) == 2, 1000 * X, X),
            y,
            0.1,
            LOWER + SCALE,
            id="one large feature",
        ),
        pytest.param(X, y, 10, LOWER, id="scaled"),
        pytest.param(
            (X - X.min(axis=0)) / np.ptp(X, axis=0), y, 1000, LOWER, id="from 0 to 1"
        ),
        pytest.param(scipy.sparse.csr_matrix(X), y, 10, LOWER, id="sparse"),
        pytest.param(1e-200 * X, y, 0.1, CHANGE + SCALE, id="tiny"),
        pytest.param(X, ONE_IN_A_HUNDRED, 1e-6, CHANGE, id="too low a rate"),
    ],
)
def test_a_network_that_learned_nothing_is_told_what_helps(samples, labels, rate, hint):
    model = TwoLayerNetClassifier(learning_rate_init=rate, random_state=0)
    with pytest.warns(
        ConvergenceWarning,
        match=rf"^{hint} \(its loss is .*, that of a guess [01]\.\d+\)$",
    ):
        model.fit(samples, labels)


@pytest.mark.parametrize("form", ["csr_matrix", "csc_matrix", "coo_array"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_sparse_samples_give_the_bits_of_dense_ones(form, dtype, monkeypatch):
    labels, dense = np.arange(60) % 3, SPARSE.astype(dtype)
    sparse = getattr(scipy.sparse, form)(dense)
    wanted = short(early_stopping=True).fit(dense, labels)
    model = short(early_stopping=True).fit(sparse, labels)
    assert bits(model) == bits(wanted)
    monkeypatch.setattr(secant.sklearn, "_DENSE_AT_ONCE", 7 * 30 + 1)
    assert np.array_equal(model.predict_proba(sparse), wanted.predict_proba(dense))


def test_any_form_of_the_same_samples_gives_the_same_bits():
    whole = np.round(3 * X)
    model = short().fit(whole, y)
    for samples in (
        np.asfortranarray(whole),
        whole.tolist(),
        whole.astype(np.int8),
        np.broadcast_to(whole, X.shape),
    ):
        assert bits(short().fit(samples, y)) == bits(model)
        assert np.array_equal(model.predict_proba(samples), model.predict_proba(whole))


def test_columns_of_a_data_frame_are_remembered():
    frame = pytest.importorskip("pandas", reason="pandas is not installed").DataFrame(
        X, columns=["a", "b", "c", "d"]
    )
    model = short().fit(frame, y)
    assert model.feature_names_in_.tolist() == ["a", "b", "c", "d"]
    assert bits(model) == bits(short().fit(X, y))
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(frame[["b", "a", "c", "d"]])
    assert not hasattr(short().fit(X, y), "feature_names_in_")


def test_warm_start_goes_on():
    twice = short(warm_start=True, early_stopping=True).fit(X, y)
    first = twice.validation_scores_
    twice.fit(X, y)
    assert (twice.n_iter_, len(twice.loss_curve_), twice.validation_scores_[:3]) == (
        6,
        6,
        first,
    )
    assert len(twice.validation_scores_) == 6
    _, held_out, _, theirs = train_test_split(
        X, y, test_size=0.1, stratify=y, random_state=np.random.RandomState(0)
    )
    assert twice.score(held_out, theirs) == twice.best_validation_score_
    assert bits(twice) != bits(clone(twice).fit(X, y))
    with pytest.raises(
        ValueRangeError, match=r"y must hold labels of classes_, \[0 1 2\], got \[3\]"
    ):
        twice.fit(X, y + 1)
    assert short().fit(X, y).fit(X, y).n_iter_ == 3


def test_the_best_score_is_that_of_the_last_fit():
    model = short(warm_start=True, early_stopping=True, batch_size=32, max_iter=20).fit(
        X, y
    )
    first = model.best_validation_score_
    # of which nothing can be learned
    model.fit(X, np.random.RandomState(0).permutation(y))
    assert model.best_validation_score_ == max(model.validation_scores_[20:])
    assert model.best_validation_score_ < first == max(model.validation_scores_[:20])


def test_the_first_partial_fit_names_the_classes_and_no_other_changes_them():
    model = short()
    with pytest.raises(
        ValueRangeError,
        match="classes must be given in the first call of partial_fit, got None",
    ):
        model.partial_fit(X, y)
    model.partial_fit(X[:1], y[:1], classes=[2, 1, 0])
    assert model.predict_proba(X).shape == (150, 3)
    with pytest.raises(
        ValueRangeError,
        match=r"classes must be those of the first call, \[0 1 2\], got \[0, 1\]",
    ):
        model.partial_fit(X, y, classes=[0, 1])
    with pytest.raises(
        ValueRangeError, match=r"y must hold labels of classes_, \[0 1 2\], got \[3\]"
    ):
        model.partial_fit(X, y + 1)
    with pytest.raises(
        UnsupportedError, match="partial_fit needs early_stopping=False"
    ):
        model.set_params(early_stopping=True).partial_fit(X, y)
    assert model.n_iter_ == 1
    model = short().partial_fit(X, np.array(["a", "b", "b"])[y], classes=["a", "b"])
    with pytest.raises(
        ValueRangeError,
        match=r"y must hold labels of classes_, \['a' 'b'\], got \['ab', 'bc'\]",
    ):
        # a label is not its first letter
        model.partial_fit(X, np.array(["a", "ab", "bc"])[y])


@pytest.mark.parametrize(
    "value",
    [
        {"hidden_size": 9},
        {"hidden_activation": "tanh"},
        {"output_activation": "sigmoid"},
    ],
)
def test_weights_that_are_kept_keep_their_network(value):
    model = short(warm_start=True).fit(X, y)
    model.set_params(**value)
    (name,) = value
    for train in (model.fit, model.partial_fit):
        with pytest.raises(
            ValueRangeError,
            match=f"^{name} must be .* as long as weights are kept, got",
        ):
            train(X, y)
    assert model.set_params(warm_start=False).fit(X, y).n_iter_ == 3


BAD = {
    "hidden_size": 0,
    "hidden_activation": "step",
    "gradient": "autograd",
    "learning_rate_init": 0,
    "batch_size": 0,
}
BAD |= {
    "output_activation": "softmax",
    "max_iter": 0.5,
    "n_iter_no_change": 0,
    "tol": -1,
    "validation_fraction": 0,
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_parameter_is_named(name):
    model = short(early_stopping=True).fit(X, NAMES)
    before, shown = bits(model), model.predict(X)
    parameters = model.get_params() | {name: BAD[name]}
    model.set_params(**parameters)
    with pytest.raises(
        (ValueError, TypeError),
        match=f"^{name} must be .*got {re.escape(repr(BAD[name]))}",
    ):
        model.fit(X, y)
    assert bits(model) == before
    assert np.array_equal(model.predict(X), shown)


@pytest.mark.parametrize("n_jobs", [0, "all", 1.5, math.nan, math.inf, [1]])
def test_a_bad_number_of_jobs_is_named(n_jobs):
    with pytest.raises(
        ValueRangeError,
        match=f"^n_jobs must be None or a whole number other than 0, got {re.escape(repr(n_jobs))}$",
    ):
        short(n_jobs=n_jobs).fit(X, y)


@pytest.mark.parametrize(
    ("samples", "labels", "message"),
    [
        (np.where(X > 2, np.nan, X), y, "Input X contains NaN"),
        (
            np.ma.masked_greater(X, 2),
            y,
            "X must be a plain array, got a masked one: its mask would be lost",
        ),
        (
            X,
            np.ma.masked_equal(y, 1),
            "y must be a plain array, got a masked one: its mask would be lost",
        ),
    ],
)
def test_bad_data_is_refused(samples, labels, message):
    model = short().fit(X, NAMES)
    shown = model.predict(X)
    with pytest.raises((ValueError, TypeError), match=message):
        model.fit(samples, labels)
    assert np.array_equal(model.predict(X), shown)


def test_classes_too_small_to_hold_samples_out():
    with pytest.raises(
        ValueRangeError,
        match=r"early_stopping holds out .*validation_fraction=0.1: .*only 1 member",
    ):
        short(early_stopping=True).fit(X[:51], y[:51])
    with pytest.raises(
        ValueRangeError, match=r"validation_fraction=0\.1: .*should be greater or equal"
    ):
        short(early_stopping=True).fit(X[::10], y[::10])
    with pytest.raises(ValueRangeError, match=r"validation_fraction=1\.5"):
        short(early_stopping=True, validation_fraction=1.5).fit(X, y)


def test_few_samples_and_one_class():
    assert short(batch_size=1000).fit(X, y).n_iter_ == 3
    assert short().fit(X[:1], NAMES[:1]).predict(X[50:52]).tolist() == [
        "setosa",
        "setosa",
    ]
    assert short().fit([[0.0], [1.0]], ["a", "b"]).predict_proba([[2.0]]).shape == (
        1,
        2,
    )


def test_divergence_leaves_the_last_good_network():
    for samples, hint in ((X, ""), (1000 * X, SCALE)):
        model = short(learning_rate_init=1e300)
        with pytest.raises(
            ValueRangeError,
            match=rf"^training diverged: lower learning_rate_init{hint} \(.* iteration 1,",
        ):
            model.fit(samples, y)
    assert all(
        np.isfinite(array).all() for array in (*model.coefs_, *model.intercepts_)
    )


@pytest.mark.parametrize("early_stopping", [False, True])
def test_ctrl_c_leaves_an_estimator_that_can_be_used(
    early_stopping, default_handler, monkeypatch
):
    notice = Stopping.__call__

    def interrupted(self, net, history):
        if len(history.epoch_iterations) == 3:
            signal.raise_signal(signal.SIGINT)
        return notice(self, net, history)

    monkeypatch.setattr(Stopping, "__call__", interrupted)
    model = short(max_iter=1000, early_stopping=early_stopping)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, y)
    monkeypatch.undo()
    assert (model.n_iter_, len(model.loss_curve_)) == (3, 3)
    wanted = short(
        max_iter=2 if early_stopping else 3, early_stopping=early_stopping
    ).fit(X, y)
    assert bits(model) == bits(wanted)
    assert model.score(X, y) == wanted.score(X, y)
    assert model.set_params(early_stopping=False).partial_fit(X, y).n_iter_ == 4


def test_an_epoch_that_was_interrupted_counts(default_handler, monkeypatch):
    compute_gradient, calls = secant.TwoLayerNet.numerical_gradient, []

    def interrupted(net, *data, **options):
        calls.append(data)
        if len(calls) == 6:  # the second of the second epoch, of four mini-batches
            signal.raise_signal(signal.SIGINT)
        return compute_gradient(net, *data, **options)

    monkeypatch.setattr(secant.TwoLayerNet, "numerical_gradient", interrupted)
    model = short(batch_size=40)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, y)
    monkeypatch.undo()
    _, history = trained_by_hand(X, y, n_iterations=6, batch_size=40, sampling="epoch")
    losses = np.reshape([*history.train_loss_list, 0, 0], (2, 4))
    assert (model.n_iter_, model.loss_) == (2, model.loss_curve_[1])
    np.testing.assert_allclose(
        model.loss_curve_,
        [losses[0] @ [40, 40, 40, 30] / 150, losses[1, :2].mean()],
        rtol=1e-12,
    )


def test_pickles_and_copies(compiled, tmp_path):
    model = TwoLayerNetClassifier(300, max_iter=2, random_state=0, **ENDLESS).fit(
        np.tile(X, 200), NAMES
    )
    tiled = np.tile(X, 200)
    joblib.dump(model, tmp_path / "model.joblib")
    for copy in (
        pickle.loads(pickle.dumps(model)),
        joblib.load(tmp_path / "model.joblib"),
    ):
        assert np.array_equal(copy.predict_proba(tiled), model.predict_proba(tiled))
        assert bits(copy.partial_fit(tiled, NAMES)) == bits(
            pickle.loads(pickle.dumps(model)).partial_fit(tiled, NAMES)
        )
    unfitted = clone(model)
    assert unfitted.get_params() == model.get_params()
    assert not hasattr(unfitted, "net_")


@pytest.mark.slow
def test_it_works_in_what_scikit_learn_builds_of_estimators():
    model = make_pipeline(StandardScaler(), short(max_iter=50, batch_size=32))
    assert cross_val_score(model, X, NAMES).min() > 0.8
    assert (
        CalibratedClassifierCV(model, method="isotonic").fit(X, NAMES).score(X, NAMES)
        > 0.9
    )
    importances = permutation_importance(
        model.fit(X, NAMES), X, NAMES, random_state=0, n_repeats=10
    ).importances_mean
    # petals tell the species apart
    assert importances[2:].min() > importances[:2].max()
    for voting in ("hard", "soft"):
        both = VotingClassifier(
            [("net", model), ("linear", LogisticRegression())], voting=voting
        )
        assert both.fit(X, NAMES).score(X, NAMES) > 0.9


def test_progress_is_shown_if_it_is_asked_for(capsys):
    short(verbose=True).fit(X, y)
    assert capsys.readouterr().out.startswith("train acc | 0.")
    short().fit(X, y)
    assert capsys.readouterr().out == ""


def test_the_examples_in_its_docstrings_give_what_they_say():
    failed, tried = doctest.testmod(secant.sklearn)  # which prints what is wrong
    assert tried
    assert not failed
