import gzip
import hashlib
import re
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from secant.datasets import idx
from secant.errors import DataError

ORIGIN = idx.Origin("digits.gz", "Fetch it again.")


def images(count=2, *, magic=0x803, shape=None, pixels=None):
    header = struct.pack(">4I", magic, *(shape or (count, 28, 28)))
    return header + (bytes(range(256)) * 4 * count)[: 784 * count] if pixels is None else header + pixels


def labels(values=(0, 9, 5), *, magic=0x801, count=None):
    return struct.pack(">2I", magic, len(values) if count is None else count) + bytes(values)


def test_images_are_read():
    x = idx.parse_images(images(3), ORIGIN)
    assert (x.shape, x.dtype) == ((3, 28, 28), np.uint8)
    assert x[2, 0, 0] == 2 * 784 % 256
    assert x[1, 27, 27] == (2 * 784 - 1) % 256
    x[:] = 0  # the caller owns it


def test_labels_are_read():
    t = idx.parse_labels(labels(), ORIGIN)
    assert t.dtype == np.uint8
    assert t.tolist() == [0, 9, 5]
    t[:] = 0


def test_an_error_names_the_file_and_what_to_do():
    with pytest.raises(DataError) as caught:
        idx.parse_labels(b"", ORIGIN)
    assert str(caught.value) == "digits.gz is truncated: 0 bytes are no header of 8. Fetch it again."


def test_a_remedy_needs_no_deletion_by_default():
    assert str(idx.Origin("f").error("is bad")) == "f is bad. Replace it with the original file."


BAD_IMAGES = {
    "rank": (images(magic=0x802), r"magic number 0x00000802, expected 0x00000803"),
    "float elements": (images(magic=0xD03), r"magic number 0x00000d03, expected 0x00000803"),
    "no leading zeros": (images(magic=0x01000803), r"magic number 0x01000803"),
    "little-endian": (images(magic=0x03080000), r"magic number 0x03080000"),
    "labels for images": (labels(range(10)), r"magic number 0x00000801"),
    "empty": (b"", r"truncated: 0 bytes are no header of 16"),
    "half a header": (images()[:15], r"truncated: 15 bytes are no header of 16"),
    "truncated": (images()[:-1], r"truncated: 1583 bytes where its header announces 1584"),
    "trailing": (images() + b"\0", r"trailing bytes: 1585 bytes where its header announces 1584"),
    "not 28 x 28": (images(shape=(2, 32, 32)), r"shape \(2, 32, 32\), expected \(N, 28, 28\)"),
    "same size, other shape": (images(shape=(2, 784, 1)), r"shape \(2, 784, 1\)"),
    "too many": (images(shape=(70_001, 28, 28)), r"70001 samples, expected 1 to 70000"),
    "absurd count": (images(shape=(2**32 - 1, 28, 28)), r"4294967295 samples"),
    "overflow": (images(shape=(2**32 - 1,) * 3), r"shape \(4294967295, 4294967295, 429"),
    "2**64": (images(shape=(2**31, 2**31, 4)), r"shape \(2147483648, 2147483648, 4\)"),
    "no image": (images(shape=(0, 28, 28), pixels=b""), r"announces 0 samples"),
    "zero product": (images(shape=(2**32 - 1, 2**32 - 1, 0), pixels=b""), r"4294967295, 0\)"),
}


@pytest.mark.parametrize(("content", "message"), BAD_IMAGES.values(), ids=BAD_IMAGES)
def test_bad_images(content, message):
    with pytest.raises(DataError, match=message) as caught:
        idx.parse_images(content, ORIGIN)
    assert "digits.gz" in str(caught.value)
    assert "Fetch it again." in str(caught.value)


BAD_LABELS = {
    "rank": (labels(magic=0x803), r"magic number 0x00000803, expected 0x00000801"),
    "half a header": (labels()[:7], r"truncated: 7 bytes are no header of 8"),
    "truncated": (labels(count=4), r"truncated: 11 bytes where its header announces 12"),
    "trailing": (labels(count=2), r"trailing bytes: 11 bytes where its header announces 10"),
    "absurd count": (labels(count=2**32 - 1), r"4294967295 samples"),
    "no label": (labels(()), r"announces 0 samples, expected 1 to 70000"),
    "label 10": (labels((0, 10)), r"label 10, expected 0 to 9"),
    "label 255": (labels((255, 0)), r"label 255, expected 0 to 9"),
}


@pytest.mark.parametrize(("content", "message"), BAD_LABELS.values(), ids=BAD_LABELS)
def test_bad_labels(content, message):
    with pytest.raises(DataError, match=message):
        idx.parse_labels(content, ORIGIN)


def test_contents_are_decompressed():
    assert idx.inflate(gzip.compress(images()), ORIGIN) == images()


def test_a_checksum_is_that_of_the_contents_and_not_of_the_compression():
    sha256 = hashlib.sha256(labels()).hexdigest()
    for level in 1, 9:
        assert idx.inflate(gzip.compress(labels(), level), ORIGIN, sha256) == labels()


def test_a_wrong_checksum():
    expected = hashlib.sha256(labels()).hexdigest()
    actual = hashlib.sha256(labels((1,))).hexdigest()
    with pytest.raises(DataError, match=f"something else: .* SHA-256 {actual}, expected {expected}"):
        idx.inflate(gzip.compress(labels((1,))), ORIGIN, expected)


def flipped(raw, position):
    return raw[:position] + bytes([raw[position] ^ 0xFF]) + raw[position + 1 :]


COMPRESSED = gzip.compress(labels())
BAD_GZIP = {
    "empty": (b"", r"not a gzip file: it begins with b''"),
    "HTML": (b"<!DOCTYPE html><html>", r"not a gzip file: it begins with b'<!DOCTYPE html>"),
    "not compressed": (labels(), r"not a gzip file: it begins with b'\\x00"),
    "truncated in the trailer": (COMPRESSED[:-1], r"truncated: its gzip stream does not end"),
    "truncated in the data": (COMPRESSED[:12], r"truncated: its gzip stream does not end"),
    "truncated in the header": (COMPRESSED[:2], r"truncated: its gzip stream does not end"),
    "trailing byte": (COMPRESSED + b"\0", r"goes on after the end"),
    "two members": (COMPRESSED * 2, r"goes on after the end"),
    "compression method": (flipped(COMPRESSED, 2), r"damaged \(.*method"),
    "CRC": (flipped(COMPRESSED, -8), r"damaged \(.*incorrect data check"),
}


@pytest.mark.parametrize(("raw", "message"), BAD_GZIP.values(), ids=BAD_GZIP)
def test_bad_gzip(raw, message):
    with pytest.raises(DataError, match=f"^digits.gz .*{message}.*Fetch it again.$"):
        idx.inflate(raw, ORIGIN)


def test_a_gzip_bomb_is_not_inflated():
    with pytest.raises(DataError, match=r"more than 54880016 bytes once decompressed, too many for MNIST"):
        idx.inflate(gzip.compress(bytes(idx.MAX_BYTES + 1), 1), ORIGIN)


def test_the_largest_file_is_inflated():
    assert len(idx.inflate(gzip.compress(bytes(idx.MAX_BYTES), 1), ORIGIN)) == idx.MAX_BYTES


def test_a_file_is_read(tmp_path):
    path = tmp_path / "f"
    path.write_bytes(b"bytes")
    assert idx.read(path, ORIGIN) == b"bytes"


def test_a_huge_file_is_not_read_to_its_end(tmp_path, monkeypatch):
    path = tmp_path / "f"
    path.write_bytes(b"123456")
    monkeypatch.setattr(idx, "MAX_BYTES", 5)
    assert idx.read(path, ORIGIN) == b"12345"


def test_a_file_that_does_not_exist(tmp_path):
    (tmp_path / "f").touch()
    assert idx.read(tmp_path / "g", ORIGIN) is None
    assert idx.read(tmp_path / "f" / "g", ORIGIN) is None


def test_a_file_that_cannot_be_read(tmp_path):
    with pytest.raises(DataError, match=r"^digits.gz cannot be read \(.+\). Fetch it again.$"):
        idx.read(tmp_path, ORIGIN)


@st.composite
def mutated(draw, original):
    """Bytes like ``original``: some overwritten, some cut out, some put in."""
    data = bytearray(original)
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(data)))
        stop = draw(st.sampled_from([start, start + 1, start + 4, len(data)]))
        data[start:stop] = draw(st.binary(max_size=4))
    return bytes(data)


def accepted(function, data):
    """Return the result, or None if ``data`` is refused as it should be."""
    try:
        return function(data, ORIGIN)
    except DataError as error:
        message = str(error)
    assert re.fullmatch(r"digits\.gz .+\. Fetch it again\.", message)
    return None


@given(mutated(images(1)))
def test_mutated_images_are_read_or_refused(content):
    x = accepted(idx.parse_images, content)
    assert x is None or x.tobytes() == content[16:]


@given(mutated(labels()) | mutated(labels()[:8]))
def test_mutated_labels_are_read_or_refused(content):
    t = accepted(idx.parse_labels, content)
    assert t is None or t.tobytes() == content[8:]


@given(mutated(gzip.compress(images(1), mtime=0)) | mutated(gzip.compress(labels(), mtime=0)) | st.binary())
def test_mutated_gzip_is_inflated_or_refused(raw):
    content = accepted(idx.inflate, raw)
    assert content is None or content == gzip.decompress(raw)
