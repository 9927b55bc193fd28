"""A network in a file: all of it comes back, nothing in the file is believed, and a
failed write changes nothing.
"""

import errno
import io
import os
import pickle
import stat
import struct
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest

import secant
from secant._common import files
from secant.errors import DataError, ParamsError, ValueRangeError
from secant.training.history import History

NAMES = ["W1", "b1", "W2", "b2"]
SIZES = (3, 4, 2)


def network(output="sigmoid", seed=0):
    net = secant.TwoLayerNet(*SIZES, output_activation=output, rng=seed)
    net.params["b1"][...] = [-0.0, 5e-324, 1.7976931348623157e308, 0.1]
    return net


def bits(net):
    return {name: (param.shape, param.tobytes()) for name, param in net.params.items()}


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "net.npz"
    network().save(path)
    return path


# ---- round trip ----------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("output", ["sigmoid", "identity"])
def test_what_is_saved_comes_back_bit_for_bit(backend, tmp_path, output, dtype):
    net = secant.TwoLayerNet(*SIZES, output_activation=output, rng=0, dtype=dtype)
    net.params["b1"][...] = [
        -0.0,
        np.finfo(dtype).smallest_subnormal,
        np.finfo(dtype).max,
        0.1,
    ]
    net.save(tmp_path / "net.npz")
    loaded = secant.TwoLayerNet.load(tmp_path / "net.npz")
    assert list(loaded.params) == NAMES
    assert bits(loaded) == bits(net)
    assert (loaded.output_activation, loaded.params["W1"].dtype) == (output, dtype)
    net.params["b1"][...] = loaded.params["b1"][...] = 0
    x = np.random.RandomState(1).uniform(size=(5, 3))
    assert loaded.predict(x).tobytes() == net.predict(x).tobytes()


@pytest.mark.parametrize("name", ["net", "net.npz", "net.tar.gz", "ネット", "a b"])
@pytest.mark.parametrize("kind", [str, Path])
def test_a_path_is_taken_as_it_is(tmp_path, name, kind):
    network().save(kind(tmp_path / name))
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert bits(secant.TwoLayerNet.load(kind(tmp_path / name))) == bits(network())


def test_the_file_is_an_npz_of_plain_arrays(saved):
    with np.load(saved, allow_pickle=False) as arrays:
        settings = [
            "hidden_activation",
            "log_offset",
            "output_activation",
            "soft_targets",
        ]
        assert sorted(arrays) == ["W1", "W2", "b1", "b2", *settings]
        assert str(arrays["output_activation"]) == "sigmoid"


def test_loading_draws_no_random_number(saved):
    before = np.random.get_state()[1].tolist()
    secant.TwoLayerNet.load(saved)
    assert np.random.get_state()[1].tolist() == before


def test_a_subclass_loads_as_itself(saved):
    class Familiar(secant.TwoLayerNet):
        pass

    assert type(Familiar.load(saved)) is Familiar


@pytest.mark.skipif(os.name != "posix", reason="this platform has no permission bits")
def test_a_file_has_the_permissions_of_any_new_file(saved):
    other = saved.with_name("other")
    other.touch()
    assert saved.stat().st_mode == other.stat().st_mode


@pytest.mark.skipif(os.name != "posix", reason="this platform has no permission bits")
def test_a_file_that_is_replaced_keeps_its_permissions(saved):
    saved.chmod(0o600)
    network().save(saved)
    assert stat.S_IMODE(saved.stat().st_mode) == 0o600


@pytest.mark.skipif(
    os.name != "posix", reason="links need a privilege on this platform"
)
def test_a_link_is_followed(saved):
    link = saved.with_name("link")
    link.symlink_to(saved)
    network(seed=1).save(link)
    assert link.is_symlink()
    assert bits(secant.TwoLayerNet.load(saved)) == bits(network(seed=1))


# ---- what cannot be saved ------------------------------------------------------------


def test_parameters_that_are_not_a_networks_are_not_saved(tmp_path):
    for name, value, message in (
        (
            "W2",
            np.zeros((3, 2)),
            r"^params must be W1 \(I, H\), .*, got W1 \(3, 4\) float64, .*, W2 \(3, 2\) float64, ",
        ),
        (
            "b1",
            np.array([0, np.nan, 0, 0]),
            r"^params\['b1'\] must be finite, got nan at \(1,\)$",
        ),
        ("W3", np.ones(3), "W3"),  # not left out in silence
    ):
        net = network()
        net.params[name] = value
        with pytest.raises((ParamsError, ValueRangeError), match=message):
            net.save(tmp_path / "net")
    assert list(tmp_path.iterdir()) == []


def refuse(*_, **__):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def interrupt(*_, **__):
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("fault", "error"),
    [(refuse, DataError), (interrupt, KeyboardInterrupt)],
    ids=["full", "Ctrl-C"],
)
def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    saved, monkeypatch, fault, error
):
    before = saved.read_bytes()
    monkeypatch.setattr(os, "replace", fault)
    with pytest.raises(error) as caught:
        network(seed=1).save(saved)
    if error is DataError:
        assert (
            str(caught.value)
            == f"{saved} could not be written: {os.strerror(errno.ENOSPC)}; give another path."
        )
    assert saved.read_bytes() == before
    assert list(saved.parent.iterdir()) == [saved]


# ---- what cannot be loaded -----------------------------------------------------------


class Pickled:
    """Unpickled, it would make a file."""

    def __reduce__(self):
        return Path.touch, (Path("executed"),)


def entries(**replaced):
    """The arrays of a good file, some replaced or, with None, left out."""
    good = {**network().params, "output_activation": np.array("sigmoid")}
    return {
        name: value for name, value in (good | replaced).items() if value is not None
    }


def npz(arrays, allow_pickle=True):
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=allow_pickle, **arrays)
    return buffer.getvalue()


def npy(header, body=b""):
    header = header.encode() + b" " * (-(len(header) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + body


def with_entry(name, content):
    """A good file of which one entry holds these bytes."""
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(npz(entries()))) as good,
        zipfile.ZipFile(buffer, "w") as archive,
    ):
        for entry in good.namelist():
            archive.writestr(entry, content if entry == name else good.read(entry))
    return buffer.getvalue()


GOOD = npz(entries())
NOT_A_ZIP = "File is not a zip file"
BAD_FILES = {
    "empty": (b"", NOT_A_ZIP),
    "one array": (
        npy("{'descr': '<f8', 'fortran_order': False, 'shape': (1,)}", bytes(8)),
        NOT_A_ZIP,
    ),
    "a pickle": (pickle.dumps(Pickled()), NOT_A_ZIP),
    "truncated": (GOOD[:-1], NOT_A_ZIP),
    "an empty archive": (npz({}), "output_activation is not a file in the archive"),
    **{
        f"without {name}": (
            npz(entries(**{name: None})),
            f"{name} is not a file in the archive",
        )
        for name in entries()
    },
    "a pickle inside": (
        npz(entries(W1=np.array([[Pickled()]], object))),
        "Object arrays cannot be loaded when allow_pickle=False",
    ),
    "unknown output": (
        npz(entries(output_activation="relu")),
        "output_activation must be one of 'sigmoid', 'identity'",
    ),
    "unknown activation": (
        npz(entries(hidden_activation="gelu")),
        "hidden_activation must be one of 'sigmoid', ",
    ),
    "log_offset": (
        npz(entries(log_offset=-1.0)),
        "log_offset must be finite and at least 0, got -1.0",
    ),
    "nan": (
        npz(entries(b2=np.array([0, np.nan]))),
        "params['b2'] must be finite, got nan at (1,)",
    ),
    "W1 that is text": (
        with_entry("W1.npy", b"hello"),
        "params['W1'] must be a plain NumPy array, got bytes",
    ),
    "W1 without its numbers": (
        with_entry(
            "W1.npy",
            npy("{'descr': '<f8', 'fortran_order': False, 'shape': (3, 4)}", bytes(95)),
        ),
        "EOF: reading array data, expected 96 bytes got 95",
    ),
    "a shape that overflows": (
        with_entry(
            "W1.npy",
            npy(
                f"{{'descr': '<f8', 'fortran_order': False, 'shape': ({2**40}, {2**40})}}"
            ),
        ),
        "",
    ),
}


@pytest.mark.parametrize(("content", "why"), BAD_FILES.values(), ids=BAD_FILES)
def test_a_bad_file_is_refused_and_nothing_in_it_runs(
    tmp_path, monkeypatch, content, why
):
    monkeypatch.chdir(tmp_path)
    Path("bad").write_bytes(content)
    with pytest.raises(DataError) as caught:
        secant.TwoLayerNet.load("bad")
    assert str(caught.value).startswith(
        "bad does not hold a network that TwoLayerNet.save wrote: "
    )
    assert why in str(caught.value)
    assert os.listdir() == ["bad"]


@pytest.mark.parametrize("name", NAMES)
def test_a_single_wrong_bit_is_noticed(tmp_path, name):
    content = bytearray(npz(entries(b1=np.full(4, 0.3), b2=np.full(2, 0.7))))
    value = {"b1": np.full(4, 0.3), "b2": np.full(2, 0.7)}.get(
        name, network().params[name]
    )
    content[content.index(value.tobytes()) + value.nbytes - 1] ^= 1
    (tmp_path / "bad").write_bytes(content)
    with pytest.raises(DataError, match=f"Bad CRC-32 for file '{name}.npy'"):
        secant.TwoLayerNet.load(tmp_path / "bad")


# ---- paths, and what is there that is no regular file --------------------------------


def test_a_subclass_of_other_arguments_cannot_be_loaded(tmp_path):
    class Fixed(secant.TwoLayerNet):
        def __init__(self):
            super().__init__(4, 3, 2)

    Fixed().save(tmp_path / "net.npz")
    with pytest.raises(
        secant.errors.UnsupportedError,
        match="Fixed must take input_size, hidden_size, output_size and rng",
    ):
        Fixed.load(tmp_path / "net.npz")


posix = pytest.mark.skipif(os.name != "posix", reason="this platform has no such files")


@posix
@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("folder", "Is a directory"),
        ("loop", "Too many levels of symbolic links"),
        ("no/net", "No such file or directory"),
    ],
)
def test_what_is_no_file_is_refused_and_kept(tmp_path, monkeypatch, kind, why):
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    Path("loop").symlink_to("loop")
    for call in (network().save, History([0.5]).save, files.require_writable):
        with pytest.raises(DataError) as caught:
            call(kind)
        assert (
            str(caught.value)
            == f"{kind} could not be written: {why}; give another path."
        )
    with pytest.raises(
        DataError, match=f"^{kind} could not be read: {why}.$"
    ) as caught:
        secant.TwoLayerNet.load(kind)
    assert type(caught.value) is DataError
    assert Path("loop").is_symlink()
    assert Path("folder").is_dir()


@posix
def test_a_file_that_may_not_be_written_is_kept(tmp_path, monkeypatch):
    path = tmp_path / "net.npz"
    path.write_text("kept", encoding="utf-8")
    # root may write any file
    monkeypatch.setattr(
        os, "access", lambda name, mode: os.path.basename(name) != "net.npz"
    )
    for call in (network().save, files.require_writable):
        with pytest.raises(DataError, match="could not be written: Permission denied"):
            call(path)
    assert path.read_text(encoding="utf-8") == "kept"


def received(path, save):
    """What a reader of a pipe gets."""
    content = []
    reader = threading.Thread(
        target=lambda: content.append(Path(path).read_bytes()), daemon=True
    )
    reader.start()
    save(path)
    reader.join(timeout=30)
    return content[0]


@posix
def test_a_pipe_is_written_into(tmp_path):
    fifo, link = tmp_path / "fifo", tmp_path / "link"
    os.mkfifo(fifo)
    link.symlink_to(fifo)
    for path in (fifo, link):
        files.require_writable(path)
        content = received(path, network().save)
        assert stat.S_ISFIFO(fifo.stat().st_mode)
        assert link.is_symlink()
        (tmp_path / "copy").write_bytes(content)
        assert bits(secant.TwoLayerNet.load(tmp_path / "copy")) == bits(network())
