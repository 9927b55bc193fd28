import inspect
import os
import re
import signal
import subprocess
import sys
from importlib import metadata

import numpy as np
import pytest
from typer.testing import CliRunner

import secant
from secant.cli import main
from secant.cli.app import app
from secant.cli.data import measured
from secant.cli.train import train as train_command
from secant.errors import DownloadError
from secant.networks.two_layer import TwoLayerNet
from secant.training.history import History
from secant.training.loop import train

LINE = r"train acc, test acc \| 0\.\d{4}, 0\.\d{4}\n"


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def run_train(*arguments):
    return run(
        "train",
        "--iters",
        3,
        "--hidden",
        4,
        "--batch",
        5,
        "--data",
        "subset",
        *arguments,
    )


def assert_error(result, message):
    """One line, which starts with "error: ", and the exit code 1."""
    assert (result.exit_code, result.output.count("\n")) == (1, 1)
    assert re.match(rf"error: {message}", result.output), result.output


RULE = "-" * 60 + "\n"
TABLE = (
    RULE
    + r" +training +test\n"
    + r"accuracy +0\.\d{4} +0\.\d{4}\n"
    + r"loss +\d\.\d{4} +\d\.\d{4}\n"
    + r"samples +10,000 +2,000\n"
    + r"time +\d+\.\d s for ITERATIONS iterations?, [\d.e+,]+ per second\n"
    + r"gradient +GRADIENT\n"
    + r"backend +(numpy|cpp|numba)\n"
    + RULE
)


def summary(iterations, gradient="central differences, method auto, h 0.0001"):
    return TABLE.replace("ITERATIONS", iterations).replace("GRADIENT", gradient)


def test_a_run_ends_with_its_summary_in_60_columns():
    result = run_train()
    assert result.exit_code == 0
    assert re.fullmatch(LINE + summary("3"), result.output)
    assert max(map(len, result.output.splitlines())) == 60


@pytest.mark.slow
def test_the_summary_says_how_the_gradient_was_computed():
    assert re.search(
        summary("3", "backpropagation"), run_train("--gradient", "backprop").output
    )
    output = run_train(
        "--method", "direct", "--h", 1e-3, "--threads", 1, "--backend", "numpy"
    ).output
    assert re.search(
        summary("3", "central differences, method direct, h 0.001"), output
    )
    assert "backend     numpy\n" in output


def test_a_loss_that_is_not_finite_does_not_cost_the_summary():
    net = TwoLayerNet(3, 2, 2, output_activation="identity", log_offset=0, rng=0)
    net.params["b2"][0] = 1000
    assert measured(net, np.ones((2, 3)), np.array([0, 1]))[1:] == (
        "0.5000",
        "infinite",
    )


def test_a_run_is_the_one_that_the_seed_gives_in_python(tmp_path):
    (x_train, t_train), (x_test, t_test) = secant.load_mnist(subset=True)
    rng = np.random.RandomState(9)
    net = TwoLayerNet(784, 4, 10, rng=rng)
    history = train(
        net,
        x_train,
        t_train,
        x_test,
        t_test,
        n_iterations=3,
        batch_size=5,
        rng=rng,
        progress=False,
    )
    run_train(
        "--seed", 9, "--history", tmp_path / "h.json", "--save", tmp_path / "net.npz"
    )
    saved = History.load(tmp_path / "h.json")
    assert saved.train_loss_list == history.train_loss_list
    assert saved.test_acc_list == history.test_acc_list
    loaded = TwoLayerNet.load(tmp_path / "net.npz")
    assert all(
        np.array_equal(loaded.params[key], net.params[key]) for key in net.params
    )


def test_every_option_reaches_the_run(tmp_path):
    options = {
        "--lr": 0.5, "--seed": 3, "--gradient": "backprop", "--sampling": "epoch", "--threads": 1,
        "--hidden-activation": "relu", "--output-activation": "identity", "--log-offset": 1e-6, "--backend": "numpy",
    }  # fmt: skip
    arguments = [part for option in options.items() for part in option]
    assert run_train(*arguments, "--history", tmp_path / "h.json").exit_code == 0
    assert History.load(tmp_path / "h.json").settings == {
        "n_iterations": 3, "hidden_size": 4, "batch_size": 5, "learning_rate": 0.5, "seed": 3, "gradient": "backprop",
        "sampling": "epoch", "n_threads": 1, "output_activation": "identity", "backend": "numpy", "data": "subset",
        "hidden_activation": "relu", "log_offset": 1e-6, "soft_targets": "weights",
        "train_size": 10_000, "test_size": 2_000, "loss": "after",
    }  # fmt: skip


@pytest.mark.slow
def test_a_saved_network_is_trained_further(tmp_path):
    path = tmp_path / "net.npz"
    options = ("--batch", 20, "--sampling", "ordered", "--save", path)
    assert (
        run_train(
            "--dtype", "float32", "--output-activation", "identity", *options
        ).exit_code
        == 0
    )
    net = TwoLayerNet.load(path)
    assert net.params["W1"].dtype == np.float32
    assert (
        run(
            "train", "--data", "subset", "--iters", 5, "--load", path, *options
        ).exit_code
        == 0
    )
    (x_train, t_train), _ = secant.load_mnist(subset=True, normalize=False)
    train(
        net,
        x_train,
        t_train,
        n_iterations=5,
        batch_size=20,
        sampling="ordered",
        normalize=True,
        progress=False,
    )
    after = TwoLayerNet.load(path)
    assert after.output_activation == "identity"
    assert all(np.array_equal(after.params[key], net.params[key]) for key in net.params)


def test_a_saved_network_goes_on_with_the_backend_that_is_asked_for(tmp_path):
    net, path = secant.TwoLayerNet(784, 4, 10, rng=1), tmp_path / "net.npz"
    net.save(path)
    arguments = (
        "--iters",
        2,
        "--batch",
        5,
        "--data",
        "subset",
        "--load",
        path,
        "--backend",
        "numpy",
    )
    result = run("train", *arguments, "--save", path, "--history", tmp_path / "h.json")
    assert result.exit_code == 0, result.output
    assert History.load(tmp_path / "h.json").settings["backend"] == "numpy"
    (x_train, t_train), _ = secant.load_mnist(subset=True, normalize=False)
    net.backend = "numpy"
    train(
        net,
        x_train,
        t_train,
        n_iterations=2,
        batch_size=5,
        rng=0,
        normalize=True,
        progress=False,
    )
    after = TwoLayerNet.load(path)
    assert all(np.array_equal(after.params[key], net.params[key]) for key in net.params)


@pytest.mark.parametrize(
    "option", [("--hidden", 4), ("--dtype", "float64"), ("--log-offset", 0)]
)
def test_what_a_saved_network_has_of_its_own_is_no_option(tmp_path, option):
    secant.TwoLayerNet(784, 4, 10).save(tmp_path / "net.npz")
    result = run("train", "--data", "subset", "--load", tmp_path / "net.npz", *option)
    assert result.exit_code == 2
    assert (
        f"{option[0]} is for a new network: that of --load has its own."
        in result.output
    )


def test_a_saved_network_must_take_the_data(tmp_path):
    secant.TwoLayerNet(5, 4, 10).save(tmp_path / "net.npz")
    done = run("train", "--data", "subset", "--load", tmp_path / "net.npz")
    assert_error(done, "x_train must have 5 columns, got .*784")


def test_the_options_of_central_differences_reach_the_run_and_are_not_for_backpropagation(
    tmp_path,
):
    run_train("--h", 1e-3, "--method", "direct", "--history", tmp_path / "h.json")
    settings = History.load(tmp_path / "h.json").settings
    assert (settings["h"], settings["method"], settings["gradient"]) == (
        1e-3,
        "direct",
        "numerical",
    )
    assert_error(
        run_train("--gradient", "backprop", "--h", 1),
        "gradient='backprop' does not take h, got ",
    )


def test_the_defaults_are_those_of_train():
    names = {
        "iters": "n_iterations", "batch": "batch_size", "lr": "learning_rate", "threads": "n_threads", "h": "h",
        "gradient": "gradient", "sampling": "sampling", "method": "method",
    }  # fmt: skip
    ours, theirs = (
        inspect.signature(train_command).parameters,
        inspect.signature(train).parameters,
    )
    for option, name in names.items():
        assert ours[option].default == theirs[name].default, option


def test_the_files_are_written_and_named(tmp_path):
    pytest.importorskip("matplotlib", reason="Matplotlib is not installed")
    paths = [tmp_path / name for name in ("net.npz", "h.json", "curves.png")]
    result = run_train("--save", paths[0], "--history", paths[1], "--plot", paths[2])
    assert [f"wrote {path}" for path in paths] == result.output.splitlines()[1:4]
    assert sorted(tmp_path.iterdir()) == sorted(paths)
    assert paths[2].read_bytes().startswith(b"\x89PNG")


@pytest.fixture
def no_training(monkeypatch):
    def load_mnist(**_):
        pytest.fail("data were loaded before the error was found")

    monkeypatch.setattr("secant.cli.data.load_mnist", load_mnist)


@pytest.mark.usefixtures("no_training")
@pytest.mark.parametrize("option", ["--plot", "--history", "--save"])
def test_files_are_checked_before_training(option, tmp_path):
    missing = tmp_path / "nowhere" / "f.png"
    for path, why in (
        (missing, "No such file or directory"),
        (tmp_path, "Is a directory"),
    ):
        message = re.escape(f"{path} could not be written: {why}; give another path.")
        assert_error(run_train(option, path), message)


@pytest.mark.usefixtures("no_training")
def test_a_plot_is_checked_before_training(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib", reason="Matplotlib is not installed")
    assert_error(
        run_train("--plot", tmp_path / "f.docx"),
        r"a figure's file name must end in \.png",
    )
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert_error(
        run_train("--plot", tmp_path / "f.png"),
        r"Plots need Matplotlib: pip install matplotlib",
    )


def test_checking_leaves_nothing_behind_and_nothing_changed(tmp_path):
    (tmp_path / "h.json").write_text("old", encoding="utf-8")
    assert_error(
        run_train("--lr", -1, "--history", tmp_path / "h.json"),
        "learning_rate must be finite and greater",
    )
    assert [path.read_text(encoding="utf-8") for path in tmp_path.iterdir()] == ["old"]


def test_one_file_that_fails_does_not_cost_the_others(tmp_path, monkeypatch):
    def save(*_):
        raise secant.errors.DataError("The disk is full.")

    monkeypatch.setattr(TwoLayerNet, "save", save)
    result = run_train("--save", tmp_path / "net.npz", "--history", tmp_path / "h.json")
    assert result.exit_code == 1
    wrote = re.escape(f"wrote {tmp_path / 'h.json'}\n")
    assert re.fullmatch(
        LINE + wrote + summary("3") + r"error: The disk is full\.\n", result.output
    )
    assert len(History.load(tmp_path / "h.json").train_loss_list) == 3


@pytest.mark.parametrize(
    ("option", "name"), [("--hidden", "hidden_size"), ("--batch", "batch_size")]
)
@pytest.mark.parametrize("size", [2**62, 99999999999999999999])
def test_a_size_that_no_array_has_is_named(option, name, size):
    assert_error(
        run_train(option, size), f"{name} must be at most 2147483647, got {size}$"
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ("--iters", 0), ("--batch", "many"), ("--seed", 2**32), ("--backend", "cuda"), ("--unknown",), ("argument",),
    ],
)  # fmt: skip
def test_usage_errors(arguments):
    result = run_train(*arguments)
    assert result.exit_code == 2
    assert "Usage: " in result.output
    assert "Traceback" not in result.output


def test_data_of_an_unknown_name():
    message = r"--data must be auto, full, subset, a folder of four IDX files or an \.npz file, got 'subste'\."
    assert_error(run_train("--data", "subste"), message)


def test_no_network_means_the_subset_and_a_note(monkeypatch):
    load_mnist = secant.load_mnist

    def offline(*, normalize, subset, progress):
        if not subset:
            raise DownloadError("No mirror could be reached.")
        return load_mnist(normalize, subset=True)

    for module in ("secant.cli.data", "secant.datasets.mnist"):
        monkeypatch.setattr(f"{module}.load_mnist", offline)
    result = run_train("--data", "auto")
    assert result.exit_code == 0
    assert result.output.startswith(
        "note: MNIST could not be downloaded: using the 12,000 digits"
    )
    assert "SECANT_DATA_HOME" in result.output.splitlines()[0]
    assert_error(run_train("--data", "full"), "No mirror could be reached.")


@pytest.fixture
def data(folder_of_images):
    """The same images as IDX files and as .npz files."""
    folder, x, t = folder_of_images
    np.savez(folder / "pixels.npz", x_train=x, t_train=t, x_test=x, t_test=np.eye(5)[t])
    floats = x / np.float32(255)
    np.savez(folder / "floats.npz", x_train=floats, t_train=t, x_test=floats, t_test=t)
    return folder


def test_the_sizes_of_the_network_come_from_the_data(data, tmp_path):
    losses = []
    for name in "", "pixels.npz", "floats.npz":
        result = run_train(
            "--data",
            data / name,
            "--save",
            tmp_path / "net.npz",
            "--history",
            tmp_path / "h.json",
        )
        assert result.exit_code == 0, result.output
        assert {name: param.shape for name, param in TwoLayerNet.load(tmp_path / "net.npz").params.items()} == {
            "W1": (6, 4), "b1": (4,), "W2": (4, 5), "b2": (5,)
        }  # fmt: skip
        losses.append(History.load(tmp_path / "h.json").train_loss_list)
    assert losses[0] == losses[1] == losses[2]


def test_nothing_is_downloaded_into_a_folder(data, monkeypatch):
    monkeypatch.setenv("SECANT_DATA_HOME", "elsewhere")
    monkeypatch.setattr(
        "secant.cli.data.load_mnist", lambda **_: pytest.fail("MNIST was asked for")
    )
    (data / "t10k-labels-idx1-ubyte").unlink()
    assert_error(
        run_train("--data", data),
        re.escape(str(data / "t10k-labels-idx1-ubyte")) + " is missing",
    )
    assert os.environ["SECANT_DATA_HOME"] == "elsewhere"


@pytest.mark.usefixtures("default_handler")
def test_ctrl_c_keeps_what_was_trained(tmp_path, monkeypatch):
    gradient, calls = TwoLayerNet.numerical_gradient, []

    def interrupted(*arguments, h, method, n_threads):
        calls.append(arguments)
        if len(calls) == 2:
            signal.raise_signal(signal.SIGINT)
        return gradient(*arguments, h=h, method=method, n_threads=n_threads)

    monkeypatch.setattr(TwoLayerNet, "numerical_gradient", interrupted)
    # one iteration at a time
    monkeypatch.setattr("secant.training.loop._BLOCK_SECONDS", 0.0)
    result = run_train("--history", tmp_path / "h.json", "--save", tmp_path / "net.npz")
    assert result.exit_code == 130
    assert "interrupted after 2 of 3 iterations\n" in result.output
    assert f"wrote {tmp_path / 'h.json'}\n" in result.output
    assert re.search(summary("2") + "$", result.output)
    assert len(History.load(tmp_path / "h.json").train_loss_list) == 2
    assert TwoLayerNet.load(tmp_path / "net.npz").params["W1"].shape == (784, 4)


@pytest.fixture
def script(tmp_path):
    """What the command is started by, as pip writes it."""
    path = tmp_path / "bin" / "secant"
    path.parent.mkdir()
    path.write_text("from secant.cli import main\nmain()\n", encoding="utf-8")
    return path


@pytest.mark.skipif(os.name != "posix", reason="SIGINT is sent as POSIX does")
@pytest.mark.slow
def test_ctrl_c_while_training_is_one_line(script):
    command = [sys.executable, script, "train", "--data", "subset", "--hidden", "4"]
    command += ["--iters", "1000000000", "--backend", secant.get_backend()]
    default = "import signal, os, sys; signal.signal(2, signal.SIG_DFL); os.execv(sys.argv[1], sys.argv[1:])"
    # a shell may have set SIGINT to be ignored
    command = [sys.executable, "-c", default, *command]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        for line in process.stdout:
            if line.startswith("train acc"):
                break
        process.send_signal(signal.SIGINT)
        try:
            errors = process.communicate(timeout=30)[1].splitlines()
        finally:
            process.kill()
    assert process.returncode == 130, errors
    assert len(errors) == 1, errors
    assert re.match("interrupted($| after )", errors[0])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("argv", "before", "threads"),
    [
        (["/bin/secant", "train", "--iters", "3"], {}, "1"),
        (["/bin/secant", "train"], {"OPENBLAS_NUM_THREADS": "2"}, "2"),
        (["/bin/secant", "run", "train.py"], {}, "1"),
        (["/bin/secant", "run", "train.py"], {"OPENBLAS_NUM_THREADS": "2"}, "2"),
        (["/bin/secant", "config", "train"], {}, None),
        (["train.py", "train"], {}, None),
    ],
)
def test_training_has_one_thread_in_the_blas(
    argv, before, threads, run_python, monkeypatch
):
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    code = f"import os, sys; sys.argv = {argv}; import secant; print(os.environ.get('OPENBLAS_NUM_THREADS'))"
    assert run_python(code, **before).stdout == f"{threads}\n"


TRAIN = ("train", "--iters", "300", "--hidden", "4", "--batch", "5", "--data", "subset")


@pytest.mark.slow
@pytest.mark.skipif(
    os.name != "posix", reason="these are redirections of a POSIX shell"
)
def test_output_that_nobody_reads_costs_nothing(script, tmp_path):
    ends, other_end = os.pipe()
    os.close(ends)
    command = [
        sys.executable,
        script,
        *TRAIN,
        "--save",
        tmp_path / "net.npz",
        "--backend",
        secant.get_backend(),
    ]
    done = subprocess.run(
        command, stdout=other_end, stderr=subprocess.PIPE, text=True, timeout=60
    )
    os.close(other_end)
    assert done.returncode == 1
    assert (
        done.stderr
        == "error: standard output could not be written: [Errno 32] Broken pipe.\n"
    )
    closed = subprocess.run(
        ["sh", "-c", 'exec "$@" >&-', "sh", *command],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (closed.returncode, closed.stdout, closed.stderr) == (0, "", "")
    assert TwoLayerNet.load(tmp_path / "net.npz").params["W1"].shape == (784, 4)


def test_memory_that_runs_out_is_one_line(monkeypatch):
    def load_mnist(**_):
        raise MemoryError

    monkeypatch.setattr("secant.cli.data.load_mnist", load_mnist)
    assert_error(run_train(), "there is not enough memory")


def test_the_help_shows_every_option_and_default(monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    result = run("train", "--help")
    assert result.exit_code == 0
    for name in inspect.signature(train_command).parameters.keys() - {"context"}:
        assert f"--{name.replace('_', '-')} " in result.output
    assert "10000" in result.output
    assert "replacement|epoch" in result.output


def test_the_version_is_that_of_the_package():
    assert run("--version").output == f"secant {metadata.version('secant')}\n"


def test_config_is_show_config(capsys):
    secant.show_config()
    assert run("config").output == capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "word"),
    [((), "train"), (("show",), "NET.npz"), (("run", "--help"), "SCRIPT")],
)
def test_without_what_it_needs_a_command_shows_its_help(arguments, word):
    assert word in run(*arguments).output


def test_the_entry_point_is_main():
    (script,) = metadata.entry_points(group="console_scripts", name="secant")
    assert script.load() is main


def test_the_data_are_not_replaced_by_what_is_written(tmp_path):
    path = tmp_path / "mine.npz"
    x, t = np.random.RandomState(0).uniform(size=(20, 3)), np.arange(20) % 2
    np.savez(path, x_train=x, t_train=t, x_test=x, t_test=t)
    before = path.read_bytes()
    for option in ("--save", "--history"):
        result = run("train", "--data", path, option, path, "--iters", 3, "--batch", 5)
        assert result.exit_code == 2
        assert (
            "--data, --save, --history and --plot need different files."
            in result.output
        )
    assert path.read_bytes() == before
