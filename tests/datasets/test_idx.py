import gzip
import hashlib
import re
import struct
import tracemalloc

import numpy as np
import pytest

import secant
from secant.datasets import idx
from secant.errors import DataError

ORIGIN = idx.Origin("digits.gz", "Fetch it again.")


def images(count=2, *, magic=0x803, shape=None, pixels=None):
    header = struct.pack(">4I", magic, *(shape or (count, 28, 28)))
    return header + (bytes(range(256)) * 4 * count)[: 784 * count] if pixels is None else header + pixels


def labels(values=(0, 9, 5), *, magic=0x801, count=None):
    return struct.pack(">2I", magic, len(values) if count is None else count) + bytes(values)


def parse_images(raw, origin=ORIGIN):
    return idx.parse(raw, 3, origin)


def parse_labels(raw, origin=ORIGIN):
    return idx.parse(raw, 1, origin)


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 32, 24), (70_001, 1, 2), (1, 70_000, 1)])
def test_images_may_have_any_size(shape):
    pixels = np.random.RandomState(0).bytes(int(np.prod(shape)))
    x = parse_images(gzip.compress(images(shape=shape, pixels=pixels)))
    assert x.shape == shape
    assert x.tobytes() == pixels


def test_labels_are_read():
    t = parse_labels(labels())
    assert t.dtype == np.uint8
    assert t.tolist() == [0, 9, 5]
    t[:] = 0
    assert parse_labels(labels(range(256))).tolist() == list(range(256))


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_bad_labels(pack):
    for content, message in (
        (
            labels(magic=0x803),
            r"of labels: it begins with b'\\x00\\x00\\x08\\x03.*, expected b'\\x00\\x00\\x08\\x01' or gzip",
        ),
        (labels(count=2), r"trailing bytes: 11 bytes where its header announces 10"),
        (labels(count=2**32 - 1), r"shape \(4294967295,\), expected 1 to 2147483640 elements"),
    ):
        with pytest.raises(DataError, match=message):
            parse_labels(pack(content))


def test_an_error_names_the_file_and_what_to_do():
    with pytest.raises(DataError) as caught:
        parse_labels(labels()[:7])
    assert str(caught.value) == "digits.gz is truncated: 7 bytes are less than a header of 8. Fetch it again."


BAD_IMAGES = {
    "rank": (
        images(magic=0x802),
        r"of images: it begins with b'\\x00\\x00\\x08\\x02.*, expected b'\\x00\\x00\\x08\\x03' or gzip",
    ),
    "empty": (b"", r"of images: it begins with b''"),
    "truncated": (images()[:-1], r"truncated: 1583 bytes where its header announces 1584"),
    "trailing": (images() + b"\0", r"trailing bytes: 1585 bytes where its header announces 1584"),
    "too large": (images(shape=(2**31 - 15, 1, 1)), r"2147483633, 1, 1\), expected 1 to 2147483632 elements"),
    "absurd count": (images(shape=(2**32 - 1, 28, 28)), r"shape \(4294967295, 28, 28\)"),
}


@pytest.mark.parametrize(("content", "message"), BAD_IMAGES.values(), ids=BAD_IMAGES)
def test_bad_images(content, message):
    with pytest.raises(DataError, match=message) as caught:
        parse_images(content)
    assert "digits.gz" in str(caught.value)
    assert "Fetch it again." in str(caught.value)


def test_a_checksum_is_that_of_the_contents_and_not_of_the_compression():
    sha256 = hashlib.sha256(labels()).hexdigest()
    for raw in labels(), gzip.compress(labels(), 1), gzip.compress(labels(), 9):
        assert idx.parse(raw, 1, ORIGIN, sha256).tolist() == [0, 9, 5]


def test_a_wrong_checksum():
    expected = hashlib.sha256(labels()).hexdigest()
    actual = hashlib.sha256(labels((1,))).hexdigest()
    with pytest.raises(DataError, match=f"something else: .* SHA-256 {actual}, expected {expected}"):
        idx.parse(gzip.compress(labels((1,))), 1, ORIGIN, expected)


def flipped(raw, position):
    return raw[:position] + bytes([raw[position] ^ 0xFF]) + raw[position + 1 :]


COMPRESSED = gzip.compress(labels())
BAD_GZIP = {
    "truncated in the data": (COMPRESSED[:12], r"truncated: its gzip stream does not end"),
    "two members": (COMPRESSED * 2, r"goes on after the end"),
    "compression method": (flipped(COMPRESSED, 2), r"damaged \(.*method"),
    "CRC": (flipped(COMPRESSED, -8), r"damaged \(.*incorrect data check"),
}


@pytest.mark.parametrize(("raw", "message"), BAD_GZIP.values(), ids=BAD_GZIP)
def test_bad_gzip(raw, message):
    with pytest.raises(DataError, match=f"^digits.gz .*{message}.*Fetch it again.$"):
        parse_labels(raw)


def test_a_gzip_bomb_is_not_inflated():
    bomb = gzip.compress(labels() + bytes(100_000_000), 1)
    tracemalloc.start()
    with pytest.raises(DataError, match="trailing bytes: 12 bytes where its header announces 11"):
        parse_labels(bomb)
    assert tracemalloc.get_traced_memory()[1] < 2 * len(bomb) + 100_000
    tracemalloc.stop()


def test_a_huge_file_is_not_read_nor_one_that_is_not_there(tmp_path):
    with (tmp_path / "f").open("wb") as file:
        file.truncate(2**31 + 1)
    with pytest.raises(DataError, match=r"^digits.gz has 2147483649 bytes, expected at most 2147483648"):
        idx.read(str(tmp_path / "f"), ORIGIN)
    assert idx.read(str(tmp_path / "g"), ORIGIN) is None
    assert idx.read(str(tmp_path / "f" / "g"), ORIGIN) is None
    with pytest.raises(DataError, match=r"^digits.gz cannot be read \(.+\). Fetch it again.$"):
        idx.read("a\0b", ORIGIN)


@pytest.fixture
def folder(tmp_path):
    """A data set of images of 3 x 2 pixels and 5 classes; half of its files are gzipped."""
    files = {
        "train-images-idx3-ubyte": images(shape=(4, 3, 2), pixels=bytes(range(24))),
        "train-labels-idx1-ubyte.gz": gzip.compress(labels((1, 0, 2, 1))),
        "t10k-images-idx3-ubyte.gz": gzip.compress(images(shape=(2, 3, 2), pixels=b"\xff" * 12)),
        "t10k-labels-idx1-ubyte": labels((4, 1)),
    }
    for name, raw in files.items():
        (tmp_path / name).write_bytes(raw)
    return tmp_path


def test_a_data_set_has_the_sizes_of_its_files(folder):
    (x_train, t_train), (x_test, t_test) = secant.load_idx(folder)
    assert (x_train.shape, x_train.dtype, x_test.shape) == ((4, 6), np.float32, (2, 6))
    np.testing.assert_array_equal(x_train, np.arange(24, dtype=np.float32).reshape(4, 6) / np.float32(255))
    assert (x_test == 1).all()
    assert (t_train.tolist(), t_test.tolist(), t_test.dtype) == ([1, 0, 2, 1], [4, 1], np.uint8)
    (x, t), (_, t_test) = secant.load_idx(str(folder), normalize=False, flatten=False, one_hot_label=True)
    assert (x.shape, x.dtype, t.shape, t_test.tolist()) == ((4, 1, 3, 2), np.uint8, (4, 5), np.eye(5)[[4, 1]].tolist())


BAD_FOLDERS = {
    "missing": ("train-labels-idx1-ubyte.gz", None, r"train-labels-idx1-ubyte is missing, with .gz and without"),
    "fewer labels": ("t10k-labels-idx1-ubyte", labels((1,)), r"t10k-labels-idx1-ubyte holds 1 labels for 2 images\."),
    "other size": (
        "t10k-images-idx3-ubyte.gz", images(shape=(2, 2, 3), pixels=bytes(12)),
        r"t10k-images-idx3-ubyte.gz holds images of 2 x 3 pixels, expected 3 x 2 as in the training set",
    ),
    "images for labels": ("t10k-labels-idx1-ubyte", images(), r"t10k-labels-idx1-ubyte is not an IDX file of labels"),
}  # fmt: skip


@pytest.mark.parametrize(("name", "raw", "message"), BAD_FOLDERS.values(), ids=BAD_FOLDERS)
def test_a_bad_data_set(folder, name, raw, message):
    (folder / name).unlink() if raw is None else (folder / name).write_bytes(raw)
    with pytest.raises(DataError, match=re.escape(f"{folder}/") + message):
        secant.load_idx(folder)


def test_a_folder_is_a_path_and_an_option_true_or_false():
    with pytest.raises(secant.errors.DTypeError, match=r"path must be a str, bytes or os.PathLike, got 5"):
        secant.load_idx(5)
    for option in ("normalize", "flatten", "one_hot_label", "subset"):
        with pytest.raises(secant.errors.DTypeError, match=rf"^{option} must be True or False, got 2"):
            secant.load_mnist(**{"subset": True, option: 2})
