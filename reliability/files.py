"""Damaged files: each is refused by a DataError, or holds something valid all the same;
and none is changed.
"""

import gzip
import io
import struct
import tempfile
import warnings
import zipfile
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np

import secant
from outcome import Outcome
from secant.datasets import idx


def save_network(path: Path) -> None:
    with path.open("wb") as file:
        np.savez(
            file,
            **secant.TwoLayerNet(3, 4, 2, rng=0).params,
            output_activation="sigmoid",
        )


def load_network(path: Path) -> None:
    net = secant.TwoLayerNet.load(path)
    if not np.isfinite(
        np.concatenate([param.ravel() for param in net.params.values()])
    ).all():
        raise AssertionError("a parameter is not finite")
    # a parameter may be so large that predict overflows
    with suppress(secant.errors.ValueRangeError):
        net.predict(np.zeros(len(net.params["W1"])))


HISTORY = secant.History(
    [2.3, 2.2, float("inf")],
    [0.1, 0.2],
    [0.15, 0.25],
    [0, 2],
    {"h": 1e-4, "n_threads": None},
)


def load_history(path: Path) -> None:
    history = secant.History.load(path)
    again = path.with_name("again")
    history.save(again)
    same = repr(secant.History.load(again)) == repr(history)
    again.unlink()
    if not same:
        raise AssertionError("what was loaded does not survive being saved")


PIXELS = np.random.RandomState(0).randint(256, size=2 * 784).astype(np.uint8).tobytes()
IMAGES = gzip.compress(struct.pack(">4I", 0x803, 2, 28, 28) + PIXELS, mtime=0)


def load_images(path: Path) -> None:
    origin = idx.Origin(path.name)
    array = idx.parse(idx.read(str(path), origin), 3, origin)
    if array.dtype != np.uint8 or not len(array):
        raise AssertionError(f"{array.dtype}, {array.shape}")


FORMATS = {  # how a good file is written, and read
    "network": (save_network, load_network),
    "history": (HISTORY.save, load_history),
    "images": (lambda path: path.write_bytes(IMAGES), load_images),
}


def damaged(content: bytes, how: str, rng: np.random.RandomState) -> bytes:
    a, b, c = np.sort(rng.randint(len(content) + 1, size=3))
    if how == "flipped":
        array = np.frombuffer(content, np.uint8).copy()
        array[rng.randint(len(content), size=rng.randint(1, 9))] ^= np.uint8(
            rng.randint(1, 256)
        )
        return array.tobytes()
    return {
        "truncated": content[: rng.randint(len(content))],
        "inserted": content[:a] + rng.bytes(rng.randint(1, 40)) + content[a:],
        "swapped": content[:a] + content[b:c] + content[a:b] + content[c:],
    }[how]


DAMAGE = ("flipped", "truncated", "inserted", "swapped")


def inside(
    content: bytes, damage: Callable[[bytes], bytes], rng: np.random.RandomState
) -> bytes:
    """Damage what was packed, and pack it again: the checksums are right."""
    if content[:2] == b"\x1f\x8b":
        return gzip.compress(damage(gzip.decompress(content)), mtime=0)
    if content[:2] != b"PK":
        return damage(content)
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(content)) as good,
        zipfile.ZipFile(buffer, "w") as archive,
    ):
        chosen = rng.choice(good.namelist())
        for name in good.namelist():
            archive.writestr(
                name, damage(good.read(name)) if name == chosen else good.read(name)
            )
    return buffer.getvalue()


def fault(path: Path, content: bytes, load: Callable[[Path], None]) -> str:
    """What is wrong with how a file was read: nothing, if it is valid or was
    refused.
    """
    path.write_bytes(content)
    before, found = path.stat(), ""
    try:
        load(path)
    except secant.errors.DataError:
        pass
    except Exception as error:  # it is any other error that is looked for
        found = f"{type(error).__name__}: {error}"
    after = path.stat()
    kept = (
        path.read_bytes() == content
        and after.st_mtime_ns == before.st_mtime_ns
        and after.st_mode == before.st_mode
    )
    return (
        found
        if kept and list(path.parent.iterdir()) == [path]
        else found or "the folder was changed"
    )


def run(outcome: Outcome, trials: int, seed: int) -> None:
    rng = np.random.RandomState(seed)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("error")
        path, good = Path(folder, "file"), {}
        for name, (save, _) in FORMATS.items():
            save(path)
            good[name] = path.read_bytes()
        for _ in range(trials):
            name, how = (
                list(FORMATS)[rng.randint(len(FORMATS))],
                DAMAGE[rng.randint(len(DAMAGE))],
            )
            damage = partial(damaged, how=how, rng=rng)
            content = (
                inside(good[name], damage, rng)
                if rng.randint(2)
                else damage(good[name])
            )
            wrong = fault(path, content, FORMATS[name][1])
            outcome.add(
                f"{name}, {how}", bool(wrong), example=f"{wrong}: {content[:300]!r}"
            )
            outcome.tried += 1
