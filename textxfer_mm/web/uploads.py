"""What visitors upload: in one folder of our own, and no longer than somebody needs it."""

import shutil
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from textxfer_mm.errors import UserError

_GONE = 'The file is no longer on the server: upload it again.'


@dataclass
class _Upload:
    """A file.

    Attributes:
        unclaimed: Uploads of it that no page and no call has taken yet: equal files of the same name have one place.
        pages: How many pages hold it.
        readers: Predictions that read it now.
        used: When it came or was last used, by the clock of ``time.monotonic``.
    """

    unclaimed: int = 0
    pages: int = 0
    readers: int = 0
    used: float = field(default_factory=time.monotonic)


class Uploads:
    """Counts who needs which file, and deletes what nobody needs or what is too old.

    A call of the API needs its file until it is answered, a page until it holds another one or is closed. What nobody
    says anything about goes by its age. Each upload is taken once: who takes none has none to give back, so that a call
    that names the file of somebody else does not delete it.

    Args:
        keep: Seconds that a file may live without being used.
    """

    def __init__(self, keep: float) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix='textxfer-uploads-')).resolve()
        self._keep = keep
        self._files: dict[Path, _Upload] = {}
        self._held: dict[str, Path] = {}  # by page
        self._arriving = 0
        self._lock = threading.RLock()
        self._closed = threading.Event()
        self._sweeper = threading.Thread(target=self._sweep_now_and_then, name='uploads', daemon=True)
        self._sweeper.start()

    def begin(self) -> None:
        """Something begins to arrive."""
        with self._lock:
            self._arriving += 1

    def end(self, paths: Iterable[str] = ()) -> None:
        """What began to arrive is there, at these paths, or has been broken off."""
        with self._lock:
            self._arriving -= 1
            for path in map(Path, paths):
                upload = self._files.setdefault(path, _Upload())
                upload.unclaimed, upload.used = upload.unclaimed + 1, time.monotonic()
            self.sweep()

    @contextmanager
    def reading(self, path: str | Path) -> Iterator[Path]:
        """Keep a file while it is read.

        Raises:
            UserError: It was not uploaded, or is gone.
        """
        path = Path(path)
        with self._lock:
            upload = self._files.get(path)
            if upload is None or not path.is_file() or path.is_symlink():
                raise UserError(_GONE)
            upload.readers += 1
        try:
            yield path
        finally:
            self._end_reading(upload)

    def hold(self, page: str, path: str | Path | None) -> None:
        """Keep a file that a page uploaded, in the place of the one before; None when it needs none."""
        with self._lock:
            before = self._files.get(self._held.pop(page, None))
            if before is not None:
                before.pages -= 1
            if path is not None and self._claim(Path(path)):
                self._held[page] = Path(path)
                self._files[Path(path)].pages += 1
            self.sweep()

    @contextmanager
    def lent(self, path: str | Path | None) -> Iterator[None]:
        """Keep a file for one call, which uploaded it; nothing happens to one that it did not."""
        with self._lock:
            upload = self._files[Path(path)] if path and self._claim(Path(path)) else None
            if upload is not None:
                upload.readers += 1
        try:
            yield
        finally:
            if upload is not None:
                self._end_reading(upload)

    def _claim(self, path: Path) -> bool:
        """Take an upload that nobody has taken; whether there is one."""
        upload = self._files.get(path)
        if upload is None or not upload.unclaimed:
            return False
        upload.unclaimed -= 1
        return True

    def _end_reading(self, upload: _Upload) -> None:
        with self._lock:
            upload.readers, upload.used = upload.readers - 1, time.monotonic()
            self.sweep()

    def sweep(self) -> None:
        """Delete what nobody needs, and what is too old.

        While something arrives, what nobody needs stays: it may be what arrives.
        """
        with self._lock:
            now = time.monotonic()
            for path, upload in list(self._files.items()):
                is_needless = not (upload.unclaimed or upload.pages or self._arriving)
                if not upload.readers and (is_needless or now - upload.used > self._keep):
                    del self._files[path]
                    _delete(path)
            self._held = {page: path for page, path in self._held.items() if path in self._files}
            oldest = time.time() - self._keep
            for path in [file for file in self.folder.rglob('*') if file.is_file() and file not in self._files]:
                with suppress(OSError):  # an upload that was broken off
                    if path.stat().st_mtime < oldest:
                        _delete(path)

    def close(self) -> None:
        """Delete all of them, and the folder."""
        self._closed.set()
        with self._lock:
            self._files.clear()
            shutil.rmtree(self.folder, ignore_errors=True)

    def _sweep_now_and_then(self) -> None:
        while not self._closed.wait(min(max(self._keep / 4, 0.2), 30)):
            self.sweep()


def paths_of(answer: object) -> Iterable[str]:
    """The paths in the answer to an upload, as gradio gives them."""
    return [path for path in answer if isinstance(path, str)] if isinstance(answer, list) else []


def _delete(path: Path) -> None:
    """Delete a file, and its folder, which gradio makes for it."""
    with suppress(OSError):
        path.unlink()
    with suppress(OSError):  # not empty, or gone
        path.parent.rmdir()
