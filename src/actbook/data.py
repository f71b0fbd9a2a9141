"""Data sets of the book: embedded or downloaded, every file checked by its SHA-256.

``load("digits")`` needs no network.  The downloaded sets are kept below :func:`cache_folder`, which
the environment variable ``ACTBOOK_DATA`` sets; a file that lies there is used without a network and
without a download library.  A file is believed only when its SHA-256 is the recorded one.
"""

from __future__ import annotations

import difflib
import errno
import gzip
import hashlib
import io
import os
import sys
import tempfile
import wave
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

__all__ = ["DataError", "Dataset", "cache_folder", "load", "names"]

#: Seed of every split that this module draws itself.
SPLIT_SEED = 20240229
TIMEOUT_SECONDS = 30


class DataError(RuntimeError):
    """A data set cannot be given: names the file, what was expected, what was found, what to do."""


@dataclass(frozen=True)
class Dataset:
    """Training, validation and test examples.

    Images: ``x_*`` is float32 in [0, 1] of shape (n, height, width), ``y_*`` int64 labels.  Text
    (tinyshakespeare): ``x_*`` int64 character ids and ``y_*`` the character that follows each one.
    Speech (fsdd): ``x_*`` an object array of float32 waveforms in [-1, 1] at 8 kHz.  Messages
    (sms): ``x_*`` an object array of strings.  A split that does not exist has length 0.
    """

    name: str
    title: str
    licence: str
    classes: tuple[str, ...]
    x_train: np.ndarray
    y_train: np.ndarray
    x_valid: np.ndarray
    y_valid: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray

    def split(self, which: str) -> tuple[np.ndarray, np.ndarray]:
        """Examples and labels of ``which``: "train", "valid" or "test"."""
        if which not in ("train", "valid", "test"):
            raise ValueError(f"split must be 'train', 'valid' or 'test', not {which!r}")
        return getattr(self, f"x_{which}"), getattr(self, f"y_{which}")

    def __repr__(self) -> str:
        sizes = ", ".join(f"{len(self.split(s)[0]):,} {s}" for s in ("train", "valid", "test"))
        return f"Dataset({self.name!r}: {sizes}; {len(self.classes)} classes; {self.licence})"


@dataclass(frozen=True)
class _File:
    """One file of a set: its name in the set's folder, its SHA-256 and where it can be had.

    A name that ends in "/" is a folder of files, downloaded as one zip archive; its SHA-256 is that
    of all files concatenated in the order of their names' bytes.
    """

    name: str
    sha256: str
    urls: tuple[str, ...]


@dataclass(frozen=True)
class _Source:
    name: str
    title: str
    licence: str
    folder: str
    files: tuple[_File, ...]
    read: Callable[[_Source, list[bytes], int], Dataset]
    classes: tuple[str, ...] = ()


# --- splits -----------------------------------------------------------------------------------


def stratified(labels: np.ndarray, size: int, seed: int = SPLIT_SEED) -> np.ndarray:
    """Sorted indices of ``size`` examples whose class shares are those of ``labels``.

    Each class gives the floor of its share; the classes with the largest remainders (ties: the
    smaller label) give one more.  The draw depends on the labels, the size and the seed alone.
    """
    if not 0 <= size <= len(labels):
        raise ValueError(f"size must lie between 0 and {len(labels)}, not {size}")
    values, counts = np.unique(labels, return_counts=True)
    shares = counts * size
    take, remainder = np.divmod(shares, len(labels))
    extra = np.argsort(-remainder, kind="stable")[: size - int(take.sum())]
    take[extra] += 1
    generator = np.random.default_rng(seed)
    chosen = [
        generator.permutation(np.flatnonzero(labels == value))[:count]
        for value, count in zip(values, take, strict=True)
    ]
    return np.sort(np.concatenate(chosen)) if chosen else np.zeros(0, dtype=np.int64)


def _without(length: int, indices: np.ndarray) -> np.ndarray:
    keep = np.ones(length, dtype=bool)
    keep[indices] = False
    return np.flatnonzero(keep)


def _hold_out(
    source: _Source,
    train: tuple[np.ndarray, np.ndarray],
    test: tuple[np.ndarray, np.ndarray],
    valid: int,
) -> Dataset:
    """A Dataset whose validation split is a stratified part of the training examples."""
    (x, y), (x_test, y_test) = train, test
    if not 0 <= valid < len(x):
        raise ValueError(
            f"valid must lie between 0 and {len(x) - 1:,} for {source.name}, not {valid}"
        )
    held = stratified(y, valid)
    rest = _without(len(y), held)
    return Dataset(
        name=source.name,
        title=source.title,
        licence=source.licence,
        classes=source.classes,
        x_train=x if valid == 0 else x[rest],
        y_train=y if valid == 0 else y[rest],
        x_valid=x[held],
        y_valid=y[held],
        x_test=x_test,
        y_test=y_test,
    )


# --- readers ----------------------------------------------------------------------------------

_IDX_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def read_idx(raw: bytes) -> np.ndarray:
    """The array in an IDX file: 2 zero bytes, type, rank, big-endian sizes, then the values."""
    if len(raw) < 4 or raw[:2] != b"\0\0" or raw[2] not in _IDX_TYPES:
        raise DataError(f"not an IDX file: it starts with {raw[:4].hex() or 'nothing'}")
    dtype, rank = np.dtype(_IDX_TYPES[raw[2]]), raw[3]
    start = 4 + 4 * rank
    shape = tuple(int(n) for n in np.frombuffer(raw[4:start], ">u4"))
    expected = start + dtype.itemsize * int(np.prod(shape, dtype=np.int64))
    if len(shape) != rank or len(raw) != expected:
        raise DataError(
            f"a damaged IDX file: sizes {shape} call for {expected:,} bytes, it has {len(raw):,}"
        )
    values = np.frombuffer(raw, dtype, offset=start).reshape(shape)
    return values.astype(dtype.newbyteorder("="))


def _read_digit_images(source: _Source, raw: list[bytes], valid: int) -> Dataset:
    x, y, x_test, y_test = (read_idx(gzip.decompress(part)) for part in raw)
    scale = np.float32(255)
    return _hold_out(
        source,
        (x.astype(np.float32) / scale, y.astype(np.int64)),
        (x_test.astype(np.float32) / scale, y_test.astype(np.int64)),
        valid,
    )


def _read_digits(source: _Source, raw: list[bytes], valid: int) -> Dataset:
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise DataError(
            "the set 'digits' comes with scikit-learn, which is not installed: install scikit-learn"
        ) from error
    bunch = load_digits()
    x = bunch.images.astype(np.float32) / np.float32(16)
    y = bunch.target.astype(np.int64)
    test = stratified(y, 360)
    rest = _without(len(y), test)
    return _hold_out(source, (x[rest], y[rest]), (x[test], y[test]), valid or 360)


def _read_text(source: _Source, raw: list[bytes], valid: int) -> Dataset:
    text = raw[0].decode("utf-8")
    alphabet = tuple(sorted(set(text)))
    number = {character: i for i, character in enumerate(alphabet)}
    ids = np.array([number[character] for character in text], dtype=np.int64)
    tail = len(ids) // 20
    valid = valid or tail
    ends = len(ids) - tail - valid, len(ids) - tail
    parts = np.split(ids, ends)
    x_train, x_valid, x_test = (part[:-1] for part in parts)
    y_train, y_valid, y_test = (part[1:] for part in parts)
    return Dataset(
        source.name, source.title, source.licence, alphabet,
        x_train, y_train, x_valid, y_valid, x_test, y_test,
    )  # fmt: skip


def _waveform(raw: bytes) -> np.ndarray:
    with wave.open(io.BytesIO(raw)) as recording:
        frames = recording.readframes(recording.getnframes())
    return np.frombuffer(frames, "<i2").astype(np.float32) / np.float32(2**15)


def _objects(items: list) -> np.ndarray:
    array = np.empty(len(items), dtype=object)
    array[:] = items
    return array


def _read_speech(source: _Source, raw: list[bytes], valid: int) -> Dataset:
    x: dict[bool, list[np.ndarray]] = {True: [], False: []}
    y: dict[bool, list[int]] = {True: [], False: []}
    with zipfile.ZipFile(io.BytesIO(raw[0])) as archive:
        for name in sorted(archive.namelist()):
            digit, _, index = PurePosixPath(name).stem.split("_")
            test = int(index) < 5
            x[test].append(_waveform(archive.read(name)))
            y[test].append(int(digit))
    train, test_part = (
        (_objects(x[part]), np.array(y[part], dtype=np.int64)) for part in (False, True)
    )
    return _hold_out(source, train, test_part, valid)


def _read_messages(source: _Source, raw: list[bytes], valid: int) -> Dataset:
    pairs = [line.split("\t", 1) for line in raw[0].decode("utf-8").splitlines() if line]
    y = np.array([source.classes.index(label) for label, _ in pairs], dtype=np.int64)
    x = _objects([text for _, text in pairs])
    test = stratified(y, len(y) // 5)
    rest = _without(len(y), test)
    return _hold_out(source, (x[rest], y[rest]), (x[test], y[test]), valid)


# --- the sets ---------------------------------------------------------------------------------


def _idx_files(mirrors: tuple[str, ...], hashes: Mapping[str, str]) -> tuple[_File, ...]:
    return tuple(
        _File(name, sha256, tuple(mirror + name for mirror in mirrors))
        for name, sha256 in hashes.items()
    )


_DIGITS = tuple("0123456789")
_SPEECH_COMMIT = "26eb9aaf76e81b692f806f9140c2d2777410d7a1"

_SOURCES = {
    source.name: source
    for source in (
        _Source(
            "digits",
            "Optical recognition of handwritten digits (8×8), as shipped with scikit-learn",
            "CC BY 4.0",
            "",
            (),
            _read_digits,
            _DIGITS,
        ),
        _Source(
            "mnist",
            "MNIST, handwritten digits (28×28)",
            "CC BY-SA 3.0",
            "mnist",
            _idx_files(
                (
                    "https://ossci-datasets.s3.amazonaws.com/mnist/",
                    "https://storage.googleapis.com/cvdf-datasets/mnist/",
                ),
                {
                    "train-images-idx3-ubyte.gz":
                        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
                    "train-labels-idx1-ubyte.gz":
                        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
                    "t10k-images-idx3-ubyte.gz":
                        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
                    "t10k-labels-idx1-ubyte.gz":
                        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
                },
            ),
            _read_digit_images,
            _DIGITS,
        ),
        _Source(
            "fashion_mnist",
            "Fashion-MNIST, articles of clothing (28×28)",
            "MIT",
            "fashion-mnist",
            _idx_files(
                (
                    "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
                    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
                ),
                {
                    "train-images-idx3-ubyte.gz":
                        "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
                    "train-labels-idx1-ubyte.gz":
                        "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
                    "t10k-images-idx3-ubyte.gz":
                        "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
                    "t10k-labels-idx1-ubyte.gz":
                        "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
                },
            ),
            _read_digit_images,
            (
                "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
                "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
            ),
        ),
        _Source(
            "tinyshakespeare",
            "Tiny Shakespeare, 1.1 MB of plays",
            "public domain text",
            "tinyshakespeare",
            (
                _File(
                    "input.txt",
                    "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
                    (
                        "https://raw.githubusercontent.com/karpathy/char-rnn/master/"
                        "data/tinyshakespeare/input.txt",
                    ),
                ),
            ),
            _read_text,
        ),
        _Source(
            "fsdd",
            "Free Spoken Digit Dataset, 3,000 recordings of six speakers",
            "CC BY-SA 4.0",
            "fsdd",
            (
                _File(
                    "recordings/",
                    "ddb17656a0bca4c5ddace082be188ca630516dc2ef1110afe3c4e9cc71173de4",
                    (
                        "https://github.com/Jakobovski/free-spoken-digit-dataset/archive/"
                        f"{_SPEECH_COMMIT}.zip",
                    ),
                ),
            ),
            _read_speech,
            _DIGITS,
        ),
        _Source(
            "sms",
            "SMS Spam Collection, 5,574 messages",
            "CC BY 4.0",
            "sms",
            (
                _File(
                    "sms.tsv",
                    "7d039a24a6083ed9ef0f806ebad56bbb976e3aeb8de05669173bfdc4996c239d",
                    (
                        "https://raw.githubusercontent.com/justmarkham/pycon-2016-tutorial/"
                        "master/data/sms.tsv",
                    ),
                ),
            ),
            _read_messages,
            ("ham", "spam"),
        ),
    )
}  # fmt: skip


def names() -> list[str]:
    """Names that :func:`load` knows."""
    return list(_SOURCES)


def load(name: str, *, valid: int = 0, download: bool = True) -> Dataset:
    """The data set ``name``, every byte of it verified.

    ``valid`` examples are taken from the training set for validation, stratified by label, the same
    ones in every run; 0 leaves the training set whole (digits and tinyshakespeare have a validation
    split of their own).  ``download=False`` uses the cache alone.  Raises DataError.
    """
    source = _SOURCES.get(name)
    if source is None:
        near = difflib.get_close_matches(str(name), _SOURCES, n=2, cutoff=0.4)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        raise DataError(f"no data set {name!r}{hint} Known: {', '.join(_SOURCES)}")
    folder = cache_folder() / source.folder
    raw = [_verified(source, file, folder, download) for file in source.files]
    return source.read(source, raw, valid)


# --- cache and download -----------------------------------------------------------------------


def cache_folder() -> Path:
    """Where downloaded sets lie: ``ACTBOOK_DATA``, else the user's cache folder."""
    chosen = os.environ.get("ACTBOOK_DATA")
    if chosen:
        return Path(chosen).expanduser()
    home = Path.home()
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA")
        return (Path(base) if base else home / "AppData" / "Local") / "actbook" / "Cache"
    if sys.platform == "darwin":
        return home / "Library" / "Caches" / "actbook"
    return Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache") / "actbook"


def _verified(source: _Source, file: _File, folder: Path, download: bool) -> bytes:
    """The bytes of ``file`` (of a folder: a zip of it), from the cache or else downloaded."""
    path = folder / file.name
    found = "the cache has no such file"
    try:
        raw = _read_cached(path, is_folder=file.name.endswith("/"))
    except FileNotFoundError:
        raw = None
    except OSError as error:
        raise DataError(
            f"{source.name}: cannot read {path} ({_reason(error)}). "
            "Make it readable, or set ACTBOOK_DATA to another folder."
        ) from error
    if raw is not None:
        digest = _digest(file, raw)
        if digest == file.sha256:
            return raw
        found = f"the cached file is damaged: {len(raw):,} bytes with SHA-256 {digest}"
    if not download:
        raise DataError(_explain(source, file, path, found, "downloading was not asked for"))
    return _fetch(source, file, path, found)


def _read_cached(path: Path, is_folder: bool) -> bytes:
    if not is_folder:
        return path.read_bytes()
    members = sorted(path.iterdir(), key=lambda member: os.fsencode(member.name))
    return _zipped((member.name, member.read_bytes()) for member in members if member.is_file())


def _zipped(members: Iterator[tuple[str, bytes]]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, raw in members:
            archive.writestr(name, raw)
    return buffer.getvalue()


def _digest(file: _File, raw: bytes) -> str:
    """SHA-256 of a file, or of a folder's files concatenated in the order of their names."""
    total = hashlib.sha256()
    if not file.name.endswith("/"):
        total.update(raw)
        return total.hexdigest()
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        for name in sorted(archive.namelist(), key=os.fsencode):
            total.update(archive.read(name))
    return total.hexdigest()


def _members_below(raw: bytes, folder: str) -> bytes:
    """A zip of the files that lie directly in ``folder`` (at any depth) of the archive ``raw``."""
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        inside = sorted(
            name
            for name in archive.namelist()
            if not name.endswith("/") and PurePosixPath(name).parent.name == folder
        )
        return _zipped((PurePosixPath(name).name, archive.read(name)) for name in inside)


def _fetch(source: _Source, file: _File, path: Path, found: str) -> bytes:
    """Download, verify, and only then put into the cache, in one step."""
    try:
        from pooch import HTTPDownloader
    except ImportError as error:
        reason = "downloading needs pooch, which is not installed (install it, or see below)"
        raise DataError(_explain(source, file, path, found, reason)) from error
    failures = []
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for url in file.urls:
            with _temporary(path.parent) as part:
                failure = _attempt(HTTPDownloader(timeout=TIMEOUT_SECONDS), url, part)
                raw = b"" if failure else part.read_bytes()
                if not failure and file.name.endswith("/"):
                    raw, failure = _unpack(raw, PurePosixPath(file.name).name)
                digest = "" if failure else _digest(file, raw)
                if digest == file.sha256:
                    _place(file, raw, part, path)
                    return raw
                failure = failure or f"gave {len(raw):,} bytes with SHA-256 {digest}"
                failures.append(f"{url}: {failure}")
    except OSError as error:
        reason = f"the folder cannot be written ({_reason(error)})"
        raise DataError(_explain(source, file, path, found, reason)) from error
    raise DataError(_explain(source, file, path, found, "; ".join(failures)))


def _attempt(downloader: Callable, url: str, part: Path) -> str:
    """Why the download of ``url`` to ``part`` failed, or ''."""
    try:
        with part.open("wb") as output:
            downloader(url, output, None)
    except Exception as error:
        # A full disk or a lost permission is not the mirror's fault: it ends the whole download.
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EACCES, errno.EROFS):
            raise
        return f"{type(error).__name__}: {str(error)[:200]}"
    return ""


def _unpack(raw: bytes, folder: str) -> tuple[bytes, str]:
    try:
        return _members_below(raw, folder), ""
    except zipfile.BadZipFile:
        return b"", f"gave {len(raw):,} bytes that are no zip archive"


@contextmanager
def _temporary(folder: Path) -> Iterator[Path]:
    handle, name = tempfile.mkstemp(prefix=".part-", dir=folder)
    os.close(handle)
    part = Path(name)
    try:
        yield part
    finally:
        part.unlink(missing_ok=True)


def _place(file: _File, raw: bytes, part: Path, path: Path) -> None:
    """Put the verified file where the cache looks for it; a damaged one is replaced, not before."""
    if not file.name.endswith("/"):
        with part.open("rb+") as handle:
            os.fsync(handle.fileno())
        os.replace(part, path)
        return
    with tempfile.TemporaryDirectory(prefix=".part-", dir=path.parent) as scratch:
        fresh = Path(scratch) / "fresh"
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            archive.extractall(fresh)
        if path.exists():
            os.replace(path, Path(scratch) / "damaged")
        os.replace(fresh, path)


def _reason(error: OSError) -> str:
    return error.strerror or str(error) or type(error).__name__


def _explain(source: _Source, file: _File, path: Path, found: str, failure: str) -> str:
    where = " or ".join(file.urls)
    return (
        f"{source.name}: {file.name} is not available.\n"
        f"  expected: {path} with SHA-256 {file.sha256}\n"
        f"  found: {found}\n"
        f"  download: {failure}\n"
        f"  what to do: connect to the network and try again, or fetch {where} by hand and put it "
        f"there, or set ACTBOOK_DATA to a folder that holds it."
    )
