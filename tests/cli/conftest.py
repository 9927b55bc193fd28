"""What the tests of the commands share: output without colors, in lines that are long
enough.
"""

import struct

import numpy as np
import pytest


@pytest.fixture(autouse=True)
def plain_output(monkeypatch):
    for name in ("FORCE_COLOR", "GITHUB_ACTIONS", "SECANT_BACKEND"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def folder_of_images(tmp_path):
    """Images of 3 x 2 pixels, of 5 classes, as four IDX files; and themselves, with
    their labels.
    """
    x, t = (
        np.random.RandomState(0).randint(256, size=(20, 3, 2), dtype=np.uint8),
        np.arange(20, dtype=np.uint8) % 5,
    )
    folder = tmp_path / "data"
    folder.mkdir()
    for part in "train", "t10k":
        (folder / f"{part}-images-idx3-ubyte").write_bytes(
            struct.pack(">4I", 0x803, *x.shape) + x.tobytes()
        )
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(
            struct.pack(">2I", 0x801, 20) + t.tobytes()
        )
    return folder, x, t
