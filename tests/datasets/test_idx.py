import gzip
import hashlib
import re
import struct
import tracemalloc
import zlib

import numpy as np
import pytest

import secant
from secant.datasets import idx
from secant.errors import DataError

ORIGIN = idx.Origin("digits.gz", "Fetch it again.")


def images(count=2, *, magic=0x803, shape=None, pixels=None):
    header = struct.pack(">4I", magic, *(shape or (count, 28, 28)))
    return (
        header + (bytes(range(256)) * 4 * count)[: 784 * count]
        if pixels is None
        else header + pixels
    )


def labels(values=(0, 9, 5), *, magic=0x801, count=None):
    return struct.pack(">2I", magic, len(values) if count is None else count) + bytes(
        values
    )


def parse_images(raw):
    return idx.parse(raw, 3, ORIGIN)


def parse_labels(raw):
    return idx.parse(raw, 1, ORIGIN)


@pytest.mark.parametrize(
    "shape", [(1, 1, 1), (2, 32, 24), (70_001, 1, 2), (1, 70_000, 1)]
)
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


ANOTHER_KIND = r"of {}: it begins with b'\\x00\\x00\\x08\\x0{}.*, expected b'\\x00\\x00\\x08\\x0{}' or gzip"
BAD = {
    "images of rank 2": (
        parse_images,
        images(magic=0x802),
        ANOTHER_KIND.format("images", 2, 3),
    ),
    "empty": (parse_images, b"", r"of images: it begins with b''"),
    "short header": (
        parse_labels,
        labels()[:7],
        r"truncated: 7 bytes are less than a header of 8\.",
    ),
    "truncated": (
        parse_images,
        images()[:-1],
        r"truncated: 1583 bytes where its header announces 1584",
    ),
    "trailing": (
        parse_images,
        images() + b"\0",
        r"trailing bytes: 1585 bytes where its header announces 1584",
    ),
    "absurd count": (
        parse_images,
        images(shape=(2**32 - 1, 28, 28)),
        r"truncated: 1584 bytes where .* 336725",
    ),
    "no image": (
        parse_images,
        images(shape=(0, 28, 28), pixels=b""),
        r"\(0, 28, 28\), expected at least one element",
    ),
    "images for labels": (
        parse_labels,
        labels(magic=0x803),
        ANOTHER_KIND.format("labels", 3, 1),
    ),
    "more labels": (
        parse_labels,
        labels(count=2),
        r"trailing bytes: 11 bytes where its header announces 10",
    ),
    "absurd count of labels": (
        parse_labels,
        labels(count=2**32 - 1),
        r"truncated: 11 bytes where .* 4294967303",
    ),
}


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize(("parse", "content", "message"), BAD.values(), ids=BAD)
def test_bad_contents(parse, content, message, pack):
    with pytest.raises(DataError, match=message) as caught:
        parse(pack(content))
    assert "digits.gz" in str(caught.value)
    assert "Fetch it again." in str(caught.value)


def test_a_checksum_is_that_of_the_contents_and_not_of_the_compression():
    sha256 = hashlib.sha256(labels()).hexdigest()
    for raw in labels(), gzip.compress(labels(), 1), gzip.compress(labels(), 9):
        assert idx.parse(raw, 1, ORIGIN, sha256).tolist() == [0, 9, 5]


def test_a_wrong_checksum():
    expected = hashlib.sha256(labels()).hexdigest()
    actual = hashlib.sha256(labels((1,))).hexdigest()
    with pytest.raises(
        DataError, match=f"something else: .* SHA-256 {actual}, expected {expected}"
    ):
        idx.parse(gzip.compress(labels((1,))), 1, ORIGIN, expected)


def flipped(raw, position):
    return raw[:position] + bytes([raw[position] ^ 0xFF]) + raw[position + 1 :]


COMPRESSED = gzip.compress(labels())
BAD_GZIP = {
    "truncated in the data": (COMPRESSED[:12], r"damaged \(.*end-of-stream"),
    "two members": (COMPRESSED * 2, r"trailing bytes"),
    "compression method": (flipped(COMPRESSED, 2), r"damaged \(.*method"),
    "CRC": (flipped(COMPRESSED, -8), r"damaged \(.*CRC check failed"),
}


@pytest.mark.parametrize(("raw", "message"), BAD_GZIP.values(), ids=BAD_GZIP)
def test_bad_gzip(raw, message):
    with pytest.raises(DataError, match=f"^digits.gz .*{message}.*Fetch it again.$"):
        parse_labels(raw)


def test_a_file_that_is_not_there_or_cannot_be_read(tmp_path):
    (tmp_path / "f").touch()
    assert idx.read(str(tmp_path / "g"), ORIGIN) is None
    assert idx.read(str(tmp_path / "f" / "g"), ORIGIN) is None
    with pytest.raises(
        DataError, match=r"^digits.gz cannot be read \(.+\). Fetch it again.$"
    ):
        idx.read("a\0b", ORIGIN)


@pytest.fixture
def folder(tmp_path):
    """A data set of images of 3 x 2 pixels and 5 classes; half of its files are
    gzipped.
    """
    files = {
        "train-images-idx3-ubyte": images(shape=(4, 3, 2), pixels=bytes(range(24))),
        "train-labels-idx1-ubyte.gz": gzip.compress(labels((1, 0, 2, 1))),
        "t10k-images-idx3-ubyte.gz": gzip.compress(
            images(shape=(2, 3, 2), pixels=b"\xff" * 12)
        ),
        "t10k-labels-idx1-ubyte": labels((4, 1)),
    }
    for name, raw in files.items():
        (tmp_path / name).write_bytes(raw)
    return tmp_path


def test_a_data_set_has_the_sizes_of_its_files(folder):
    (x_train, t_train), (x_test, t_test) = secant.load_idx(folder)
    assert (x_train.shape, x_train.dtype, x_test.shape) == ((4, 6), np.float32, (2, 6))
    np.testing.assert_array_equal(
        x_train, np.arange(24, dtype=np.float32).reshape(4, 6) / np.float32(255)
    )
    assert (x_test == 1).all()
    assert (t_train.tolist(), t_test.tolist(), t_test.dtype) == (
        [1, 0, 2, 1],
        [4, 1],
        np.uint8,
    )
    (x, t), (_, t_test) = secant.load_idx(
        str(folder), normalize=False, flatten=False, one_hot_label=True
    )
    assert (x.shape, x.dtype, t.shape, t_test.tolist()) == (
        (4, 1, 3, 2),
        np.uint8,
        (4, 5),
        np.eye(5)[[4, 1]].tolist(),
    )


@pytest.mark.parametrize(
    "options", [{}, {"normalize": False}, {"normalize": False, "one_hot_label": True}]
)
def test_the_arrays_are_the_users(folder, options):
    for _ in range(2):
        arrays = [
            array for part in secant.load_idx(folder, **options) for array in part
        ]
        assert arrays[0].max() > 0
        for array in arrays:
            array[...] = 0


def test_files_may_be_spelled_with_a_dot(folder):
    wanted = secant.load_idx(folder)
    for path in list(folder.iterdir()):
        path.rename(folder / path.name.replace("-idx", ".idx"))
        (folder / path.name.removesuffix(".gz")).mkdir()
    for parts, others in zip(secant.load_idx(folder), wanted, strict=True):
        for array, other in zip(parts, others, strict=True):
            np.testing.assert_array_equal(array, other)


def test_a_small_file_does_not_take_much_memory(folder):
    """It announces 1 GB of pixels, and has them: 1 MB of zeros in gzip."""
    shape = (2**10, 2**10, 2**10)
    packing = zlib.compressobj(9, wbits=31)
    parts = [packing.compress(images(shape=shape, pixels=b""))]
    parts += [packing.compress(bytes(2**20)) for _ in range(2**10)]
    bomb = b"".join([*parts, packing.flush()])
    assert len(bomb) < 1.1e6
    (folder / "t10k-images-idx3-ubyte.gz").write_bytes(bomb)
    tracemalloc.start()
    with pytest.raises(
        DataError,
        match=r"t10k-images-idx3-ubyte.gz has .* bytes and unpacks to more than ",
    ):
        secant.load_idx(folder)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 2**28


def test_a_small_file_of_blank_images_is_read(folder):
    (folder / "t10k-images-idx3-ubyte.gz").write_bytes(
        gzip.compress(images(shape=(2, 3, 2**20), pixels=bytes(6 * 2**20)))
    )
    (folder / "train-images-idx3-ubyte").write_bytes(
        images(shape=(4, 3, 2**20), pixels=bytes(12 * 2**20))
    )
    _, (x_test, _) = secant.load_idx(folder, normalize=False)
    assert x_test.shape == (2, 3 * 2**20)


BAD_FOLDERS = {
    "missing": ("train-labels-idx1-ubyte.gz", None, r"train-labels-idx1-ubyte is missing, with .gz and without"),
    "fewer labels": ("t10k-labels-idx1-ubyte", labels((1,)), r"t10k-labels-idx1-ubyte holds 1 labels for 2 images\."),
    "other size": (
        "t10k-images-idx3-ubyte.gz", images(shape=(2, 2, 3), pixels=bytes(12)),
        r"t10k-images-idx3-ubyte.gz holds images of 2 x 3 pixels, expected 3 x 2 as in the training set",
    ),
    "images for labels": ("t10k-labels-idx1-ubyte", images(), r"t10k-labels-idx1-ubyte is not an IDX file of labels"),
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "raw", "message"), BAD_FOLDERS.values(), ids=BAD_FOLDERS
)
def test_a_bad_data_set(folder, name, raw, message):
    (folder / name).unlink() if raw is None else (folder / name).write_bytes(raw)
    with pytest.raises(DataError, match=re.escape(f"{folder}/") + message):
        secant.load_idx(folder)
