"""Damaged files: each is refused by a DataError, or holds something valid all the same; and none is changed."""

import gzip
import io
import struct
import tempfile
import warnings
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
from outcome import Outcome

import secant
from secant.datasets import idx


def a_network() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **secant.TwoLayerNet(3, 4, 2, rng=0).params, output_activation="sigmoid")
    return buffer.getvalue()


def load_network(path: Path) -> None:
    net = secant.TwoLayerNet.load(path)
    if not np.isfinite(np.concatenate([param.ravel() for param in net.params.values()])).all():
        raise AssertionError("a parameter is not finite")
    with suppress(secant.errors.ValueRangeError):  # a parameter may be so large that predict overflows
        net.predict(np.zeros(len(net.params["W1"])))


def a_history() -> bytes:
    history = secant.History([2.3, 2.2, float("inf")], [0.1, 0.2], [0.15, 0.25], [0, 2], {"h": 1e-4, "n_threads": None})
    with tempfile.TemporaryDirectory() as folder:
        history.save(Path(folder, "history"))
        return Path(folder, "history").read_bytes()


def load_history(path: Path) -> None:
    history = secant.History.load(path)
    again = path.with_name("again")
    history.save(again)
    same = repr(secant.History.load(again)) == repr(history)
    again.unlink()
    if not same:
        raise AssertionError("what was loaded does not survive being saved")


def images() -> bytes:
    pixels = np.random.RandomState(0).randint(256, size=2 * 784).astype(np.uint8).tobytes()
    return gzip.compress(struct.pack(">4I", 0x803, 2, 28, 28) + pixels, mtime=0)


def labels() -> bytes:
    return gzip.compress(struct.pack(">2I", 0x801, 60) + bytes(range(10)) * 6, mtime=0)


def load_idx(path: Path, rank: int) -> None:
    origin = idx.Origin(path.name)
    array = idx.parse(idx.read(str(path), origin), rank, origin)
    if array.dtype != np.uint8 or not len(array):
        raise AssertionError(f"{array.dtype}, {array.shape}")


FORMATS = {  # how a good file is made, and read
    "network": (a_network, load_network),
    "history": (a_history, load_history),
    "images": (images, lambda path: load_idx(path, 3)),
    "labels": (labels, lambda path: load_idx(path, 1)),
}


def flipped(content: bytearray, rng: np.random.RandomState) -> bytearray:
    for position in rng.randint(len(content), size=rng.randint(1, 9)):
        content[position] ^= rng.randint(1, 256)
    return content


def truncated(content: bytearray, rng: np.random.RandomState) -> bytearray:
    return content[: rng.randint(len(content))]


def inserted(content: bytearray, rng: np.random.RandomState) -> bytearray:
    at = rng.randint(len(content))
    return content[:at] + rng.bytes(rng.randint(1, 40)) + content[at:]


def swapped(content: bytearray, rng: np.random.RandomState) -> bytearray:
    a, b, c = np.sort(rng.randint(len(content) + 1, size=3))
    return content[:a] + content[b:c] + content[a:b] + content[c:]


DAMAGE = (flipped, truncated, inserted, swapped)


def inside(content: bytes, damage: Callable[[bytes], bytes], rng: np.random.RandomState) -> bytes:
    """Damage what was packed, and pack it again: the checksums are right."""
    if content[:2] == b"\x1f\x8b":
        return gzip.compress(damage(gzip.decompress(content)), mtime=0)
    if content[:2] != b"PK":
        return damage(content)
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as good, zipfile.ZipFile(buffer, "w") as archive:
        chosen = rng.choice(good.namelist())
        for name in good.namelist():
            archive.writestr(name, damage(good.read(name)) if name == chosen else good.read(name))
    return buffer.getvalue()


def fault(path: Path, content: bytes, load: Callable[[Path], None]) -> str:
    """What is wrong with how a file was read: nothing, if it is valid or was refused."""
    path.write_bytes(content)
    before, found = path.stat(), ""
    try:
        load(path)
    except secant.errors.DataError:
        pass
    except Exception as error:  # it is any other error that is looked for
        found = f"{type(error).__name__}: {error}"
    after = path.stat()
    kept = path.read_bytes() == content and after.st_mtime_ns == before.st_mtime_ns and after.st_mode == before.st_mode
    return found if kept and list(path.parent.iterdir()) == [path] else found or "the folder was changed"


def run(outcome: Outcome, trials: int, seed: int) -> None:
    rng = np.random.RandomState(seed)
    good = {name: make() for name, (make, _) in FORMATS.items()}
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(trials):
            name = list(FORMATS)[rng.randint(len(FORMATS))]
            how = DAMAGE[rng.randint(len(DAMAGE))]
            damage = lambda content, how=how: bytes(how(bytearray(content), rng))  # noqa: E731
            content = inside(good[name], damage, rng) if rng.randint(2) else damage(good[name])
            wrong = fault(Path(folder, "file"), content, FORMATS[name][1])
            outcome.add(f"{name}, {how.__name__}", bool(wrong), example=f"{wrong}: {content[:300]!r}")
            outcome.tried += 1
