"""``secant show``: what it draws and prints, and what it refuses."""

import re
import sys

import pytest
from typer.testing import CliRunner

import secant
from secant.cli.app import app

pytest.importorskip("matplotlib", reason="Matplotlib is not installed")


@pytest.fixture
def net(tmp_path):
    path = tmp_path / "mine.npz"
    secant.TwoLayerNet(784, 5, 10, rng=0).save(path)
    return path


def show(*arguments, data="subset"):
    return CliRunner().invoke(app, ["show", *map(str, arguments), "--data", str(data)])


def assert_error(result, message):
    assert (result.exit_code, result.output.count("\n")) == (1, 1)
    assert re.match(rf"error: {message}", result.output), result.output


@pytest.mark.slow
def test_a_picture_and_the_accuracy_of_the_test_set(net, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = show(net)
    _, (x, t) = secant.load_mnist(subset=True)
    loaded = secant.TwoLayerNet.load(net)
    assert result.exit_code == 0
    assert result.output.splitlines() == [
        "wrote net.png",
        "-" * 60,
        "network     784-5-10, sigmoid output, 3,985 parameters",
        f"accuracy    {loaded.accuracy(x, t):.4f} on 2,000 test samples",
        f"loss        {loaded.loss(x, t):.4f}",
        "-" * 60,
    ]
    assert (tmp_path / "net.png").read_bytes().startswith(b"\x89PNG")


def test_what_is_drawn_are_weights_and_confusion_matrix(net, tmp_path, monkeypatch):
    drawn = []
    encoded = secant.plots.canvas.encoded
    monkeypatch.setattr(
        secant.plots.canvas,
        "encoded",
        lambda figure, name: drawn.append(figure) or encoded(figure, name),
    )
    show(net, "--output", tmp_path / "a.png", "--units", 3)
    weights, confusion, bar = drawn[0].axes
    assert len(weights.images) == 3
    assert sum(int(text.get_text()) for text in confusion.texts) == 2000
    assert bar.get_label() == "<colorbar>"


@pytest.mark.slow
def test_samples_that_are_no_squares_need_a_shape(tmp_path, folder_of_images):
    data, *_ = folder_of_images
    path, output = tmp_path / "small.npz", tmp_path / "a.png"
    secant.TwoLayerNet(6, 4, 5, rng=0).save(path)
    assert_error(
        show(path, "--output", output, data=data),
        "shape must be given, .*, since a sample is not square, got 6 pixels",
    )
    assert not output.exists()
    assert show(path, "--output", output, "--shape", 3, 2, data=data).exit_code == 0


def test_data_that_do_not_fit_the_network(tmp_path):
    path, output = tmp_path / "small.npz", tmp_path / "a.png"
    secant.TwoLayerNet(4, 4, 5, rng=0).save(path)
    assert_error(show(path, "--output", output), "x must have 4 columns, got .*784")
    secant.TwoLayerNet(784, 4, 9, rng=0).save(path)
    assert_error(
        show(path, "--output", output), "t must hold class labels from 0 to 8, got 9"
    )


def test_files_that_cannot_be_used(net, tmp_path, monkeypatch):
    assert_error(
        show(tmp_path / "none.npz"), r".*none\.npz could not be read: No such file"
    )
    (tmp_path / "text.npz").write_text("hello", encoding="utf-8")
    assert_error(
        show(tmp_path / "text.npz", "--output", tmp_path / "a.png"),
        ".*text.npz does not hold a network",
    )
    assert_error(
        show(net, "--output", tmp_path / "a.docx"),
        r"a figure's file name must end in \.png",
    )
    assert_error(
        show(net, "--output", tmp_path / "no" / "a.png"),
        ".*a.png could not be written: No such file",
    )
    assert_error(
        show(net, "--output", tmp_path / "a.png", data="mine"),
        "--data must be auto, full, subset",
    )
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert_error(show(net), r"Plots need Matplotlib: pip install matplotlib")
