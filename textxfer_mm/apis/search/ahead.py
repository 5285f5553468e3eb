"""An iterator that runs ahead of whoever takes its items, in a thread of its own."""

import queue
import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any, TypeVar

_Item = TypeVar('_Item')
#: Seconds after which a thread that waits looks whether it is still wanted.
_LOOK = 0.1
_END = object()


class _Raised:
    """What the iterator raised."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


def ahead(items: Iterable[_Item], most: int) -> Iterator[_Item]:
    """Take items in a thread, some before they are asked for; what it raises is raised here.

    The thread ends when all were given, or with the first item that nobody asks for any more.

    Args:
        items: What is iterated over; nobody else must do so.
        most: The most items that lie ready.
    """
    ready: queue.Queue[Any] = queue.Queue(most)
    is_over = threading.Event()

    def put(item: Any) -> bool:
        while not is_over.is_set():
            with suppress(queue.Full):
                ready.put(item, timeout=_LOOK)
                return True
        return False

    def work() -> None:
        try:
            for item in items:
                if not put(item):
                    return
            put(_END)
        except BaseException as error:
            put(_Raised(error))

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        while (item := ready.get()) is not _END:
            if isinstance(item, _Raised):
                raise item.error
            yield item
    finally:
        is_over.set()
        thread.join()
