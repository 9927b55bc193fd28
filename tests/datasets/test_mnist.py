import gzip
import hashlib
import http.server
import os
import re
import signal
import struct
import subprocess
import sys
import threading
import time
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from secant.datasets import mnist as datasets
from secant.datasets.mnist import load_mnist
from secant.errors import DataError, DownloadError, MissingExtraError
from secant.networks.two_layer import TwoLayerNet

TRAIN_IMAGES = "train-images-idx3-ubyte.gz"
TRAIN_LABELS = "train-labels-idx1-ubyte.gz"
TEST_IMAGES = "t10k-images-idx3-ubyte.gz"
TEST_LABELS = "t10k-labels-idx1-ubyte.gz"
HOME = os.environ.get("SECANT_DATA_HOME")

full_set = pytest.mark.skipif(
    not HOME or not Path(HOME, TRAIN_IMAGES).exists(),
    reason="SECANT_DATA_HOME does not hold the full MNIST",
)

TINY_CONTENTS = {
    TRAIN_LABELS: struct.pack(">2I", 0x801, 3) + bytes([5, 0, 9]),
    TEST_LABELS: struct.pack(">2I", 0x801, 2) + bytes([7, 2]),
    TRAIN_IMAGES: struct.pack(">4I", 0x803, 3, 28, 28)
    + bytes(range(0, 252)) * 9
    + bytes(84),
    TEST_IMAGES: struct.pack(">4I", 0x803, 2, 28, 28) + b"\xff" * 784 * 2,
}
TINY = {
    name: gzip.compress(content, mtime=0) for name, content in TINY_CONTENTS.items()
}


def write(folder, files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, raw in files.items():
        (folder / name).write_bytes(raw)


def listing(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def assert_is_tiny(loaded):
    (x_train, t_train), (x_test, t_test) = loaded
    assert (x_train.shape, x_test.shape) == ((3, 784), (2, 784))
    assert t_train.tolist() == [5, 0, 9]
    assert t_test.tolist() == [7, 2]


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """Leave no mirror to a test that does not set its own."""
    monkeypatch.delenv("SECANT_DATA_HOME", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(datasets, "MIRRORS", ("http://127.0.0.1:1/",))


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """The cache folder, which does not exist yet."""
    folder = tmp_path / "cache" / "secant"
    monkeypatch.setattr(datasets, "cache_folder", lambda: folder)
    return folder


@pytest.fixture
def tiny(monkeypatch):
    """Make the tiny files what the checksums ask for."""
    files = {
        name: file._replace(
            gz=hashlib.sha256(TINY[name]).hexdigest(),
            contents=hashlib.sha256(TINY_CONTENTS[name]).hexdigest(),
        )
        for name, file in datasets._FILES.items()
    }
    monkeypatch.setattr(datasets, "_FILES", files)


class Mirror(http.server.ThreadingHTTPServer):
    """Serves ``files``; ``pause`` is called, and ``requests`` grows, within every
    GET.
    """

    def __init__(self, files):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = files
        self.requests = []
        self.pause = lambda: None
        self.url = f"http://127.0.0.1:{self.server_port}/"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_HEAD(self):
        self.answer(self.path[1:])

    def do_GET(self):
        self.server.requests.append(self.path[1:])
        body = self.answer(self.path[1:])
        self.wfile.write(body[: len(body) // 2])
        self.server.pause()
        self.wfile.write(body[len(body) // 2 :])

    def answer(self, name):
        body = self.server.files.get(name)
        self.send_response(200 if body is not None else 404)
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        return body or b""

    def log_message(self, *_):
        pass


@pytest.fixture
def mirrors(monkeypatch):
    """Start mirrors, one for each mapping of names to bytes, and make them the only
    ones.
    """
    running = []

    def start(*contents):
        for files in contents:
            server = Mirror(files)
            thread = threading.Thread(
                target=server.serve_forever, kwargs={"poll_interval": 0.01}
            )
            thread.start()
            running.append((server, thread))
        monkeypatch.setattr(
            datasets, "MIRRORS", tuple(server.url for server, _ in running)
        )
        return [server for server, _ in running]

    yield start
    for server, thread in running:
        server.shutdown()
        thread.join()
        server.server_close()


def test_the_subset():
    (x_train, t_train), (x_test, t_test) = load_mnist(subset=True)
    assert (x_train.shape, t_train.shape) == ((10_000, 784), (10_000,))
    assert (x_test.shape, t_test.shape) == ((2_000, 784), (2_000,))
    assert (x_train.dtype, t_train.dtype) == (np.float32, np.uint8)
    assert (x_train.min(), x_train.max()) == (0, 1)
    assert t_train[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert t_test[:5].tolist() == [7, 2, 1, 0, 4]
    assert 0.80 < np.mean(x_train == 0) < 0.82


def test_the_options_of_the_book():
    (flat, t), _ = load_mnist(subset=True)
    (x, one_hot), (x_test, one_hot_test) = load_mnist(
        normalize=False, flatten=False, one_hot_label=True, subset=True
    )
    assert (x.dtype, x.shape, x_test.shape) == (
        np.uint8,
        (10_000, 1, 28, 28),
        (2_000, 1, 28, 28),
    )
    assert x.flags.writeable
    np.testing.assert_array_equal(
        flat, x.reshape(10_000, 784).astype(np.float32) / 255.0
    )
    assert (one_hot.dtype, one_hot_test.shape) == (np.float64, (2_000, 10))
    np.testing.assert_array_equal(one_hot, np.eye(10)[t])


def test_the_subset_is_small_and_says_what_it_is():
    folder = resources.files("secant.datasets").joinpath("files")
    sizes = [len(folder.joinpath(name).read_bytes()) for name in TINY]
    assert sum(sizes) < 2_100_000
    contents = (gzip.decompress(folder.joinpath(name).read_bytes()) for name in TINY)
    shown = " ".join(hashlib.sha256(content).hexdigest()[:8] for content in contents)
    assert shown == "651e38e2 7b098e5f 2889698e 3f6bd66d"
    text = folder.joinpath("LICENSE").read_text("utf-8")
    for words in (
        "Yann LeCun",
        "Corinna Cortes",
        "CC BY-SA 3.0",
        "first 10,000",
        "first\n2,000",
    ):
        assert words in text


def test_a_broken_installation(monkeypatch, tmp_path):
    monkeypatch.setattr(datasets, "__file__", str(tmp_path / "mnist.py"))
    with pytest.raises(
        DataError, match=rf"{TRAIN_LABELS} is missing. Install Secant again.$"
    ):
        load_mnist(subset=True)


@full_set
def test_the_full_set(monkeypatch):
    monkeypatch.setenv("SECANT_DATA_HOME", HOME)
    train, test = load_mnist(normalize=False)
    assert [array.shape for array in (*train, *test)] == [
        (60_000, 784),
        (60_000,),
        (10_000, 784),
        (10_000,),
    ]
    subset_train, subset_test = load_mnist(normalize=False, subset=True)
    for whole, part in zip((*train, *test), (*subset_train, *subset_test), strict=True):
        np.testing.assert_array_equal(whole[: len(part)], part)


def test_data_home_counts_before_the_environment(
    tiny, cache, mirrors, tmp_path, monkeypatch
):
    monkeypatch.setenv("SECANT_DATA_HOME", str(tmp_path / "other"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    mirrors(TINY)
    for data_home in (tmp_path / "mine", "~/mine"):
        assert_is_tiny(load_mnist(data_home=data_home))
    assert listing(tmp_path) == ["mine", *sorted(f"mine/{name}" for name in TINY)]
    monkeypatch.setenv("SECANT_DATA_HOME", str(tmp_path / "mine"))
    assert_is_tiny(load_mnist())
    assert not cache.exists()


UNPACKED = {
    "gzipped": lambda name: name,
    "unpacked": lambda name: name.removesuffix(".gz"),
    "unpacked, with a dot": lambda name: name.removesuffix(".gz").replace(
        "-idx", ".idx"
    ),
    "gzipped, with a dot": lambda name: name.replace("-idx", ".idx"),
}


@pytest.mark.parametrize("spelled", UNPACKED.values(), ids=UNPACKED)
@pytest.mark.parametrize("by_variable", [True, False])
def test_the_four_files_are_used_gzipped_or_not_and_with_a_dot(
    tiny, mirrors, tmp_path, monkeypatch, spelled, by_variable
):
    (mirror,) = mirrors(TINY)
    for name, raw in TINY.items():
        path = tmp_path / spelled(name)
        path.write_bytes(raw if path.suffix == ".gz" else TINY_CONTENTS[name])
    before = listing(tmp_path)
    monkeypatch.setenv("SECANT_DATA_HOME", str(tmp_path))
    assert_is_tiny(load_mnist(data_home=None if by_variable else tmp_path))
    assert (mirror.requests, listing(tmp_path)) == ([], before)


def test_an_archive_of_kaggle_has_folders_of_these_names_beside_the_files(
    tiny, mirrors, tmp_path
):
    (mirror,) = mirrors(TINY)
    for name, content in TINY_CONTENTS.items():
        plain = name.removesuffix(".gz")
        (tmp_path / plain).mkdir()
        (tmp_path / plain / plain).write_bytes(content)
        (tmp_path / plain.replace("-idx", ".idx")).write_bytes(content)
    assert_is_tiny(load_mnist(data_home=tmp_path))
    assert mirror.requests == []


def test_an_unpacked_file_of_another_data_set_is_named(tiny, mirrors, tmp_path):
    mirrors(TINY)
    write(tmp_path, TINY)
    (tmp_path / TRAIN_LABELS).rename(tmp_path / "train-labels.idx1-ubyte")
    (tmp_path / "train-labels.idx1-ubyte").write_bytes(TINY_CONTENTS[TEST_LABELS])
    with pytest.raises(
        DataError,
        match=r"train-labels\.idx1-ubyte holds something else: .*\. Put the original file",
    ):
        load_mnist(data_home=tmp_path)


@pytest.mark.parametrize("module", ["pooch", "tqdm"])
def test_without_the_extra_there_is_no_download(
    tiny, mirrors, tmp_path, monkeypatch, module
):
    (mirror,) = mirrors(TINY)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(
        MissingExtraError,
        match=r"^The download of MNIST needs .*pip install pooch tqdm",
    ):
        load_mnist(data_home=tmp_path, progress=True)
    assert mirror.requests == []
    write(tmp_path, TINY)
    assert_is_tiny(load_mnist(data_home=tmp_path))


def test_the_cache_is_the_platforms(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert Path(datasets.cache_folder()).name in ("secant", "Cache")
    if sys.platform == "linux":
        assert datasets.cache_folder() == str(tmp_path / "secant")


def test_a_download_fills_the_cache_and_only_what_is_missing_is_downloaded(
    tiny, cache, mirrors
):
    (mirror,) = mirrors(TINY)
    for _ in range(2):
        assert_is_tiny(load_mnist())
    assert listing(cache) == sorted(TINY)
    assert {path.name: path.read_bytes() for path in cache.iterdir()} == TINY
    (cache / TEST_IMAGES).unlink()
    assert_is_tiny(load_mnist())
    assert (sorted(mirror.requests[:-1]), mirror.requests[-1]) == (
        sorted(TINY),
        TEST_IMAGES,
    )


def test_files_that_are_there_unpacked_are_not_downloaded(tiny, cache, mirrors):
    write(
        cache,
        {
            name.removesuffix(".gz"): content
            for name, content in TINY_CONTENTS.items()
            if name != TEST_LABELS
        },
    )
    (mirror,) = mirrors(TINY)
    before = listing(cache)
    assert_is_tiny(load_mnist())
    assert mirror.requests == [TEST_LABELS]
    assert listing(cache) == sorted([*before, TEST_LABELS])


def test_a_progress_bar_if_asked_for(tiny, cache, mirrors, capsys):
    mirrors(TINY)
    load_mnist(progress=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("100%") >= 4


@pytest.mark.parametrize(
    "first",
    [
        pytest.param({}, id="not found"),
        pytest.param(
            {**TINY, TRAIN_LABELS: gzip.compress(TINY_CONTENTS[TRAIN_LABELS], 1)},
            id="other hash",
        ),
        pytest.param(
            {**TINY, TRAIN_IMAGES: b"<html>Sign in to this network</html>"}, id="HTML"
        ),
        pytest.param({TRAIN_LABELS: TINY[TRAIN_LABELS]}, id="only one file"),
    ],
)
def test_the_second_mirror_is_used_when_the_first_fails(tiny, cache, mirrors, first):
    mirrors(first, TINY)
    assert_is_tiny(load_mnist())
    assert {path.name: path.read_bytes() for path in cache.iterdir()} == TINY


def test_no_network(tiny, cache):
    with pytest.raises(DownloadError) as caught:
        load_mnist()
    message = str(caught.value)
    assert message.startswith(f"{TRAIN_LABELS} could not be downloaded to {cache}. ")
    assert re.search(
        r"http://127.0.0.1:1/train-labels-.* not received \(.*refused.*\)\. Put the four files",
        message,
    )
    for name in TINY:
        assert name in message
    assert "set SECANT_DATA_HOME" in message
    assert "load_mnist(subset=True)" in message
    assert listing(cache) == []


def test_the_message_names_the_file_that_is_missing_and_all_mirrors(
    tiny, cache, mirrors
):
    first, second = mirrors(
        {name: TINY[name] for name in (TRAIN_LABELS, TEST_LABELS)}, {}
    )
    with pytest.raises(DownloadError) as caught:
        load_mnist()
    message = str(caught.value)
    assert message.startswith(f"{TRAIN_IMAGES} could not be downloaded")
    assert f"{first.url}{TRAIN_IMAGES} was not received (404 Client Error" in message
    assert f"{second.url}{TRAIN_IMAGES} was not received (404 Client Error" in message
    assert listing(cache) == sorted([TRAIN_LABELS, TEST_LABELS])


def test_a_download_that_stands_still(tiny, cache, mirrors, monkeypatch):
    (mirror,) = mirrors(TINY)
    released = threading.Event()
    mirror.pause = lambda: released.wait(60)
    monkeypatch.setattr(datasets, "_TIMEOUTS", (5, 0.2))
    with pytest.raises(
        DownloadError, match=rf"{TRAIN_LABELS} was not received \(.*timed out"
    ):
        load_mnist()
    released.set()
    assert listing(cache) == []


def test_an_interrupted_download_leaves_nothing(tiny, cache, mirrors, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    import pooch

    mirrors(TINY)
    for owner, name in (
        (pooch.HTTPDownloader, "__call__"),
        (pooch.core.shutil, "move"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, interrupt)
            with pytest.raises(KeyboardInterrupt):
                load_mnist()
        assert listing(cache) == []
    assert_is_tiny(load_mnist())


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="SIGINT is sent as POSIX does")
@pytest.mark.parametrize("command", ["train", "show"])
def test_ctrl_c_in_a_download_of_the_command_leaves_nothing(mirrors, tmp_path, command):
    (mirror,) = mirrors({name: bytes(2**20) for name in TINY})
    is_half_way, is_over = threading.Event(), threading.Event()
    mirror.pause = lambda: (is_half_way.set(), is_over.wait(60))
    TwoLayerNet(784, 4, 10).save(tmp_path / "net.npz")
    arguments = ["train"] if command == "train" else ["show", str(tmp_path / "net.npz")]
    program = "\n".join(
        (
            "import signal, sys",
            "signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have set it to be ignored",
            f"sys.argv = ['/bin/secant', *{arguments}, '--data', 'full']",
            "from secant.datasets import mnist",
            f"mnist.MIRRORS = ({mirror.url!r},)",
            "from secant.cli import main",
            "main()",
        )
    )
    folder = tmp_path / "cache"
    environment = os.environ | {"SECANT_DATA_HOME": str(folder)}
    with subprocess.Popen(
        [sys.executable, "-c", program],
        env=environment,
        cwd=tmp_path,
        stderr=-1,
        text=True,
    ) as run:
        assert is_half_way.wait(60)
        while not any(path.stat().st_size for path in folder.iterdir()):
            time.sleep(0.01)
        run.send_signal(signal.SIGINT)
        errors = run.communicate(timeout=30)[1]
    is_over.set()
    assert (run.returncode, errors.splitlines()[-1]) == (130, "interrupted")
    assert listing(folder) == []


DAMAGED = {
    "truncated": (TINY[TRAIN_IMAGES][:-9], r"is damaged \("),
    "HTML": (
        b"<html>404</html>",
        r"is not an IDX file of images: it begins with b'<html>404",
    ),
    "another data set": (
        gzip.compress(TINY_CONTENTS[TEST_IMAGES]),
        r"its contents have the SHA-256",
    ),
}


@pytest.mark.parametrize("whose", ["Secant's", "the user's"])
@pytest.mark.parametrize(("raw", "reason"), DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_file_is_left_and_to_be_deleted_if_it_is_in_the_cache(
    tiny, cache, mirrors, raw, reason, whose
):
    (mirror,) = mirrors(TINY)
    write(cache, {**TINY, TRAIN_IMAGES: raw})
    advice = (
        "Put the original file" if whose == "the user's" else "Delete it and load again"
    )
    with pytest.raises(DataError, match=rf"{TRAIN_IMAGES} .*{reason}[^.]*\. {advice}"):
        load_mnist(data_home=cache if whose == "the user's" else None)
    assert mirror.requests == []
    assert (cache / TRAIN_IMAGES).read_bytes() == raw
    (cache / TRAIN_IMAGES).unlink()
    assert_is_tiny(load_mnist())


def test_a_folder_that_cannot_be_made(tiny, mirrors, tmp_path):
    mirrors(TINY)
    (tmp_path / "file").touch()
    with pytest.raises(
        DataError,
        match=r"file/folder/.* cannot be written \(.+\)\. Set SECANT_DATA_HOME",
    ) as caught:
        load_mnist(data_home=tmp_path / "file" / "folder")
    assert not isinstance(caught.value, DownloadError)


@pytest.mark.parametrize(
    "fault",
    [PermissionError(13, "Permission denied"), OSError(28, "No space left on device")],
)
def test_a_folder_that_cannot_be_written(tiny, cache, mirrors, monkeypatch, fault):
    import pooch

    def refuse(*_):
        raise fault

    mirrors(TINY)
    monkeypatch.setattr(pooch.core.shutil, "move", refuse)
    with pytest.raises(DataError) as caught:
        load_mnist()
    assert str(caught.value) == (
        f"{cache / TRAIN_LABELS} cannot be written ({fault.strerror}). "
        "Set SECANT_DATA_HOME to a folder that can be written."
    )
    assert not isinstance(caught.value, DownloadError)
    assert listing(cache) == []
