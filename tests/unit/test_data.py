"""Data sets: what they hold, and what happens when a file is missing, damaged or out of reach."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import http.server
import os
import struct
import sys
import threading
import wave
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from actbook import data
from actbook.data import DataError


def idx(values: np.ndarray) -> bytes:
    """``values`` (uint8) as a gzipped IDX file, by the format's description."""
    header = struct.pack(">BBBB", 0, 0, 0x08, values.ndim)
    header += b"".join(struct.pack(">I", n) for n in values.shape)
    return gzip.compress(header + values.astype(">u1").tobytes(), mtime=0)


TRAIN_X = np.arange(40 * 28 * 28, dtype=np.int64).reshape(40, 28, 28).astype(np.uint8)
TRAIN_Y = (np.arange(40) % 10).astype(np.uint8)
FILES = {
    "train-images-idx3-ubyte.gz": idx(TRAIN_X),
    "train-labels-idx1-ubyte.gz": idx(TRAIN_Y),
    "t10k-images-idx3-ubyte.gz": idx(TRAIN_X[:20]),
    "t10k-labels-idx1-ubyte.gz": idx(TRAIN_Y[:20]),
}
FIRST = "train-images-idx3-ubyte.gz"


class Mirror:
    """A web server on this machine: what it serves, and what it was asked for."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {f"/good/{k}": v for k, v in FILES.items()}
        self.asked: list[str] = []
        mirror = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                mirror.asked.append(self.path)
                body = mirror.files.get(self.path)
                self.send_response(200 if body is not None else 404)
                self.send_header("Content-Length", str(len(body or b"")))
                self.end_headers()
                self.wfile.write(body or b"")

            def log_message(self, *arguments: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def mirror(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Mirror]:
    """A tiny "mnist" whose first mirror has nothing and whose second is on this machine."""
    pytest.importorskip("pooch", reason="downloads need pooch")
    monkeypatch.setenv("ACTBOOK_DATA", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "*")
    served = Mirror()
    use(monkeypatch, served.address)
    yield served
    served.close()


def use(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    files = tuple(
        data._File(
            name,
            hashlib.sha256(raw).hexdigest(),
            (f"{address}/no/{name}", f"{address}/good/{name}"),
        )
        for name, raw in FILES.items()
    )
    tiny = dataclasses.replace(data._SOURCES["mnist"], files=files)
    monkeypatch.setitem(data._SOURCES, "mnist", tiny)


def fill(folder: Path) -> Path:
    (folder / "mnist").mkdir(parents=True, exist_ok=True)
    for name, raw in FILES.items():
        (folder / "mnist" / name).write_bytes(raw)
    return folder / "mnist"


def forbid_downloads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pooch", None)


# --- splits -----------------------------------------------------------------------------------


def test_the_digits_need_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    sklearn = pytest.importorskip("sklearn.datasets", reason="the digits come with scikit-learn")
    forbid_downloads(monkeypatch)
    digits = data.load("digits")
    sizes = [len(digits.split(s)[0]) for s in ("train", "valid", "test")]
    assert sizes == [1077, 360, 360]
    assert digits.x_train.shape == (1077, 8, 8) and digits.x_train.dtype == np.float32
    assert digits.x_train.min() == 0 and digits.x_train.max() == 1
    together = np.concatenate([digits.split(s)[0] for s in ("train", "valid", "test")])
    original = sklearn.load_digits().images / 16
    assert sorted(map(bytes, together.reshape(1797, 64).astype(np.float64))) == sorted(
        map(bytes, original.reshape(1797, 64))
    )
    again = data.load("digits")
    assert all((again.split(s)[0] == digits.split(s)[0]).all() for s in ("train", "valid", "test"))


def test_a_stratified_part_keeps_the_shares_and_is_always_the_same() -> None:
    labels = np.repeat([0, 1, 2], [50, 30, 21])
    chosen = data.stratified(labels, 20)
    # Shares 9.90, 5.94, 4.16: floors 9, 5, 4, and the two largest remainders give one more.
    assert np.bincount(labels[chosen]).tolist() == [10, 6, 4]
    assert len(set(chosen)) == 20 and (np.diff(chosen) > 0).all()
    assert (chosen == data.stratified(labels, 20)).all()
    assert (chosen != data.stratified(labels, 20, seed=1)).any()
    assert len(data.stratified(labels, 0)) == 0
    assert data.stratified(labels, 101).tolist() == list(range(101))
    with pytest.raises(ValueError, match="102"):
        data.stratified(labels, 102)


def test_validation_is_held_out_of_training_only_when_asked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ACTBOOK_DATA", str(tmp_path))
    use(monkeypatch, "http://127.0.0.1:9")
    fill(tmp_path)
    whole, parted = data.load("mnist"), data.load("mnist", valid=10)
    assert (len(whole.x_train), len(whole.x_valid), len(whole.x_test)) == (40, 0, 20)
    assert (len(parted.x_train), len(parted.x_valid), len(parted.x_test)) == (30, 10, 20)
    assert parted.y_valid.tolist().count(3) == 1
    assert whole.x_train[1, 0, 0] == np.float32(TRAIN_X[1, 0, 0]) / np.float32(255)
    rows = {bytes(x) for x in parted.x_train} | {bytes(x) for x in parted.x_valid}
    assert rows == {bytes(x) for x in whole.x_train}
    with pytest.raises(ValueError, match="valid must lie between 0 and 39"):
        data.load("mnist", valid=40)
    with pytest.raises(ValueError, match="'exam'"):
        whole.split("exam")
    assert "40 train" in repr(whole)


# --- the IDX format ---------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["u1", "i1", "i2", "i4", "f4", "f8"])
def test_every_type_of_idx_file(code: str) -> None:
    kinds = {"u1": 8, "i1": 9, "i2": 11, "i4": 12, "f4": 13, "f8": 14}
    values = np.array([[1, 2, 3], [-4 if code != "u1" else 4, 5, 100]], dtype=code)
    raw = bytes([0, 0, kinds[code], 2]) + struct.pack(">II", 2, 3)
    raw += values.astype(np.dtype(code).newbyteorder(">")).tobytes()
    read = data.read_idx(raw)
    assert read.dtype == np.dtype(code) and (read == values).all()


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "not an IDX file"),
        (b"\x1f\x8b\x08\x00", "not an IDX file"),
        (bytes([0, 0, 8, 1]) + struct.pack(">I", 5) + b"abcd", "call for 13 bytes, it has 12"),
        (bytes([0, 0, 8, 3]) + struct.pack(">I", 5), "damaged"),
    ],
)
def test_a_damaged_idx_file(raw: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        data.read_idx(raw)


# --- cache and download -----------------------------------------------------------------------


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(DataError, match="did you mean mnist") as caught:
        data.load("minst")
    assert all(name in str(caught.value) for name in data.names())


def test_cached_data_needs_no_download_library(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ACTBOOK_DATA", str(tmp_path))
    use(monkeypatch, "http://127.0.0.1:9")
    forbid_downloads(monkeypatch)
    fill(tmp_path)
    assert len(data.load("mnist").x_train) == 40
    (tmp_path / "mnist" / FIRST).unlink()
    with pytest.raises(DataError, match="pooch, which is not installed"):
        data.load("mnist")


def test_a_missing_file_is_downloaded_from_the_next_mirror(mirror: Mirror) -> None:
    assert (data.load("mnist").y_train == TRAIN_Y).all()
    assert mirror.asked[:2] == [f"/no/{FIRST}", f"/good/{FIRST}"]
    folder = data.cache_folder() / "mnist"
    assert sorted(p.name for p in folder.iterdir()) == sorted(FILES)
    asked = len(mirror.asked)
    data.load("mnist")
    assert len(mirror.asked) == asked


def test_a_damaged_file_is_replaced(mirror: Mirror) -> None:
    path = fill(data.cache_folder()) / FIRST
    path.write_bytes(FILES[FIRST][:-7])
    data.load("mnist")
    assert path.read_bytes() == FILES[FIRST]


def test_a_wrong_download_is_refused_and_nothing_is_lost(mirror: Mirror) -> None:
    path = fill(data.cache_folder()) / FIRST
    path.write_bytes(b"damaged")
    mirror.files[f"/good/{FIRST}"] = b"<html>log in</html>"
    with pytest.raises(DataError) as caught:
        data.load("mnist")
    message = str(caught.value)
    for part in (
        "mnist", FIRST, str(path),
        hashlib.sha256(FILES[FIRST]).hexdigest(),
        f"7 bytes with SHA-256 {hashlib.sha256(b'damaged').hexdigest()}",
        f"gave 19 bytes with SHA-256 {hashlib.sha256(b'<html>log in</html>').hexdigest()}",
        "404", "what to do", "ACTBOOK_DATA",
    ):  # fmt: skip
        assert part in message, part
    assert path.read_bytes() == b"damaged"
    assert sorted(p.name for p in path.parent.iterdir()) == sorted(FILES)


def test_a_truncated_download_is_refused(mirror: Mirror) -> None:
    mirror.files[f"/good/{FIRST}"] = FILES[FIRST][:100]
    with pytest.raises(DataError, match="gave 100 bytes"):
        data.load("mnist")
    assert not list((data.cache_folder() / "mnist").iterdir())


def test_no_network_gives_one_clear_message(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pytest.importorskip("pooch", reason="downloads need pooch")
    monkeypatch.setenv("ACTBOOK_DATA", str(tmp_path))
    monkeypatch.setenv("NO_PROXY", "*")
    use(monkeypatch, "http://127.0.0.1:9")
    with pytest.raises(DataError, match="ConnectionError") as caught:
        data.load("mnist")
    assert "the cache has no such file" in str(caught.value)
    assert caught.value.__cause__ is None
    with pytest.raises(DataError, match="downloading was not asked for"):
        data.load("mnist", download=False)


def test_a_folder_that_cannot_be_written(mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(data.tempfile, "mkstemp", refuse)
    with pytest.raises(DataError, match=r"cannot be written \(Permission denied\)"):
        data.load("mnist")
    assert mirror.asked == []


def test_a_disk_that_fills_up_is_not_the_mirrors_fault(
    mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pooch

    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pooch.HTTPDownloader, "__call__", full)
    with pytest.raises(DataError, match=r"cannot be written \(No space left"):
        data.load("mnist")
    assert not list((data.cache_folder() / "mnist").iterdir())


@pytest.mark.skipif(
    sys.platform == "win32" or os.geteuid() == 0, reason="permissions do not bind this user"
)
def test_a_file_that_cannot_be_read(mirror: Mirror) -> None:
    path = fill(data.cache_folder()) / FIRST
    path.chmod(0)
    with pytest.raises(DataError, match="cannot read"):
        data.load("mnist")


def test_a_folder_of_recordings_comes_as_one_archive(
    mirror: Mirror, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    recordings = {}
    for digit in (0, 3):
        for index in (2, 7):
            path = tmp_path / f"{digit}_ann_{index}.wav"
            with wave.open(str(path), "wb") as file:
                file.setnchannels(1)
                file.setsampwidth(2)
                file.setframerate(8000)
                file.writeframes(struct.pack("<4h", 0, 16384, -32768, digit))
            recordings[path.name] = path.read_bytes()
    archive = tmp_path / "archive.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for name in reversed(recordings):
            file.writestr(f"set-26eb/recordings/{name}", recordings[name])
        file.writestr("set-26eb/README.md", "no recording")
    mirror.files["/archive.zip"] = archive.read_bytes()
    total = hashlib.sha256(b"".join(recordings[name] for name in sorted(recordings))).hexdigest()
    folder = data._File("recordings/", total, (f"{mirror.address}/archive.zip",))
    monkeypatch.setitem(
        data._SOURCES, "fsdd", dataclasses.replace(data._SOURCES["fsdd"], files=(folder,))
    )
    for damage in (None, b"damaged"):
        speech = data.load("fsdd")
        assert speech.y_train.tolist() == [0, 3] and speech.y_test.tolist() == [0, 3]
        assert speech.x_test[1].tolist() == [0, 0.5, -1, np.float32(3 / 2**15)]
        kept = data.cache_folder() / "fsdd" / "recordings"
        assert {p.name: p.read_bytes() for p in kept.iterdir()} == recordings
        assert [p.name for p in kept.parent.iterdir()] == ["recordings"]
        if damage is None:
            (kept / "0_ann_2.wav").write_bytes(b"damaged")


@pytest.mark.parametrize(
    ("platform", "variables", "expected"),
    [
        ("linux", {"ACTBOOK_DATA": "/somewhere"}, "/somewhere"),
        ("linux", {"XDG_CACHE_HOME": "/x"}, "/x/actbook"),
        ("linux", {}, "/home/ann/.cache/actbook"),
        ("darwin", {}, "/home/ann/Library/Caches/actbook"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/actbook/Cache"),
    ],
)
def test_where_the_cache_lies(
    platform: str, variables: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ACTBOOK_DATA", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(data.sys, "platform", platform)
    monkeypatch.setattr(Path, "home", lambda: Path("/home/ann"))
    assert data.cache_folder().as_posix() == expected


# --- the real files ---------------------------------------------------------------------------


def cached(name: str) -> data.Dataset:
    try:
        return data.load(name, download=False)
    except DataError as error:
        pytest.skip(f"the files of {name} are not in {data.cache_folder()}: {type(error).__name__}")


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
def test_the_real_images(name: str) -> None:
    images = cached(name)
    assert images.x_train.shape == (60_000, 28, 28) and images.x_test.shape == (10_000, 28, 28)
    assert images.x_train.min() == 0 and images.x_train.max() == 1
    # The published first labels and, for MNIST, the number of zeros among the training labels.
    first = {"mnist": [5, 0, 4, 1, 9], "fashion_mnist": [9, 0, 0, 3, 0]}[name]
    assert images.y_train[:5].tolist() == first
    counts = np.bincount(images.y_train).tolist()
    assert counts == {
        "mnist": [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949],
        "fashion_mnist": [6000] * 10,
    }[name]  # fmt: skip


def test_the_real_text() -> None:
    text = cached("tinyshakespeare")
    assert len(text.classes) == 65
    assert "".join(text.classes[i] for i in text.x_train[:14]) == "First Citizen:"
    assert (text.x_train[1:] == text.y_train[:-1]).all()


def test_the_real_speech() -> None:
    speech = cached("fsdd")
    assert len(speech.x_train) == 2700 and len(speech.x_test) == 300
    assert np.bincount(speech.y_test).tolist() == [30] * 10
    assert max(np.abs(x).max() for x in speech.x_test) <= 1


def test_the_real_messages() -> None:
    messages = cached("sms")
    assert len(messages.x_train) + len(messages.x_test) == 5574
    share = messages.y_train.mean(), messages.y_test.mean()
    assert share[0] == pytest.approx(share[1], abs=1e-3)
    assert messages.classes == ("ham", "spam")
