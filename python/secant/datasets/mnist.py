"""MNIST, as the chapter's ``load_mnist`` returns it: from the cache, a public mirror or
the bundled subset.

Design: a file of the full set is trusted if its SHA-256 is the known one, wherever it
comes from. Pooch downloads it, and gives it its name once it is complete and verified.
What takes long to import, such as pooch, is imported when used.
"""

import os
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from secant._common.files import cache_folder
from secant.datasets.idx import (
    NAMES,
    Bytes,
    Origin,
    Split,
    find,
    parse,
    rank_of,
    shaped,
)
from secant.errors import DownloadError, MissingExtraError

MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)

_TIMEOUTS = 5.0, 20.0  # seconds to connect, and that a download may stand still


class _File(NamedTuple):
    """The SHA-256 of the mirrors' .gz, and of its contents."""

    gz: str
    contents: str


# Labels first: a folder that cannot be written shows after 29 kB of download, not after
# 10 MB.
_FILES = {
    "train-labels-idx1-ubyte.gz": _File(
        gz="3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        contents="65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    ),
    "t10k-labels-idx1-ubyte.gz": _File(
        gz="f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        contents="ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
    "train-images-idx3-ubyte.gz": _File(
        gz="440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        contents="ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    ),
    "t10k-images-idx3-ubyte.gz": _File(
        gz="8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        contents="0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    ),
}

_Arrays = dict[str, Bytes]


def load_mnist(
    normalize: bool = True,
    flatten: bool = True,
    one_hot_label: bool = False,
    *,
    subset: bool = False,
    data_home: str | os.PathLike[str] | None = None,
    progress: bool = False,
) -> tuple[Split, Split]:
    """Load MNIST as ``(x_train, t_train), (x_test, t_test)``.

    Parameters
    ----------
    normalize : bool
        Divide the pixels by 255, to float32. Otherwise they are uint8.
    flatten : bool
        Return each image as a row of 784 pixels. Otherwise its shape is (1, 28, 28).
    one_hot_label : bool
        Return each label as a row of ten float64. Otherwise it is one uint8.
    subset : bool
        Use the first 10,000 training and 2,000 test samples. They come with Secant and
        need no network.
    data_home : str or path-like, optional
        The folder of the four files, with the names that `load_idx` takes; by default
        the one that the environment variable ``SECANT_DATA_HOME`` names, else the
        platform's cache folder.
    progress : bool
        Draw a progress bar on standard error while downloading.

    Returns
    -------
    (x_train, t_train), (x_test, t_test) : ndarrays, shapes (60000, 784), (60000,),
    (10000, 784) and (10000,)
        New arrays, with the shapes that ``flatten``, ``one_hot_label`` and ``subset``
        make of these.

    Raises
    ------
    DownloadError
        A file is not there and could not be downloaded.
    DataError
        A file is damaged, or cannot be read or written.
    MissingExtraError
        A download is needed, and pooch or tqdm is not installed.

    Notes
    -----
    What is missing in the folder is downloaded. A file that is there is never replaced.

    Examples
    --------
    >>> (x_train, t_train), (x_test, t_test) = secant.load_mnist(
    ...     one_hot_label=True, subset=True
    ... )
    >>> x_train.shape, t_train.shape
    ((10000, 784), (10000, 10))
    """
    home = data_home if data_home is not None else os.environ.get("SECANT_DATA_HOME")
    if subset:
        folder = os.path.join(os.path.dirname(__file__), "files")
        remedy = "Install Secant again."
        arrays = _read(_FILES, folder, remedy, is_full=False)
        _require(_FILES, arrays, folder, remedy)
    else:
        arrays = _complete(
            os.path.expanduser(os.fsdecode(home)) if home else None, progress
        )
    return shaped(
        (arrays[f"{name}.gz"] for name in NAMES), normalize, flatten, one_hot_label
    )


def load_or_subset(
    say: Callable[[str], None], options: dict[str, Any]
) -> tuple[Split, Split]:
    """Load MNIST, or say that it could not be downloaded and load the digits that come
    with Secant.
    """
    try:
        return load_mnist(**options)
    except (DownloadError, MissingExtraError):
        say(
            "MNIST could not be downloaded: using the 12,000 digits that come with"
            " Secant, 10,000 to train and 2,000 to test. For all 70,000, connect to the"
            " internet, or set SECANT_DATA_HOME to a folder with the four files"
        )
        return load_mnist(**options | {"subset": True})


def _complete(home: str | None, progress: bool) -> _Arrays:
    """Read the full set from its folder, and download what is missing there."""
    folder = home or cache_folder()
    remedy = (
        "Put the original file in its place, or move it away, and"
        if home
        else "Delete it and"
    ) + " load again."
    arrays = _read(_FILES, folder, remedy)
    missing = [name for name in _FILES if name not in arrays]
    if missing:
        _download(missing, folder, progress)
        arrays |= _read(missing, folder, remedy)
        _require(missing, arrays, folder, remedy)
    return arrays


def _read(
    names: Iterable[str], folder: str, remedy: str, is_full: bool = True
) -> _Arrays:
    """Read those of the files that are there."""
    arrays: _Arrays = {}
    for name in names:
        file = find(folder, name.removesuffix(".gz"), remedy)
        if file is not None:
            raw, origin = file
            arrays[name] = parse(
                raw, rank_of(name), origin, _FILES[name].contents if is_full else None
            )
    return arrays


def _require(names: Iterable[str], arrays: _Arrays, folder: str, remedy: str) -> None:
    for name in names:
        if name not in arrays:
            raise Origin(os.path.join(folder, name), remedy).error("is missing")


def _download(wanted: list[str], folder: str, progress: bool) -> None:
    """Download files into ``folder``. If one mirror fails, the next one is tried."""
    pooch = _pooch(progress)
    from requests import RequestException

    registry = {name: f"sha256:{file.gz}" for name, file in _FILES.items()}
    downloader = pooch.HTTPDownloader(progressbar=progress, timeout=_TIMEOUTS)
    logger, failures = pooch.get_logger(), []
    level = logger.level
    # it says what it fetches on standard error: the bar, or our error, does
    logger.setLevel("ERROR")
    try:
        for mirror in MIRRORS:
            store = pooch.create(folder, mirror, registry=registry)
            try:
                while wanted:
                    store.fetch(wanted[0], downloader=downloader)
                    wanted = wanted[1:]
                return
            except (RequestException, ValueError) as error:
                # ValueError: another SHA-256
                failures.append(
                    f"{mirror}{wanted[0]} was not received ({_cause(error)})."
                )
            except OSError as error:
                remedy = "Set SECANT_DATA_HOME to a folder that can be written."
                reason = f"cannot be written ({error.strerror or error})"
                raise Origin(os.path.join(folder, wanted[0]), remedy).error(
                    reason
                ) from error
    finally:
        logger.setLevel(level)
    raise DownloadError(
        f"{wanted[0]} could not be downloaded to {folder}. {' '.join(failures)} Put the"
        f" four files {', '.join(_FILES)}, also unpacked, in a folder and set"
        " SECANT_DATA_HOME to it, or call load_mnist(subset=True) for the 12,000"
        " samples that come with Secant."
    )


def _pooch(progress: bool) -> Any:
    try:
        import pooch

        if progress:
            import tqdm  # noqa: F401 - pooch needs it
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            "The download of MNIST needs pooch and tqdm: install them (pip install"
            " pooch tqdm), set SECANT_DATA_HOME to a folder with the four files, or"
            " call load_mnist(subset=True)."
        ) from error
    return pooch


def _cause(error: BaseException) -> str:
    """Return the first of a chain of errors: requests wraps the cause."""
    while error.__context__ is not None:
        error = error.__context__
    return str(error) or type(error).__name__
