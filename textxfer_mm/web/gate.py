"""What comes before gradio sees a request, and goes behind its answer (ASGI: https://asgi.readthedocs.io)."""

import json
import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from textxfer_mm.web.uploads import Uploads, paths_of

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_UPLOAD = '/gradio_api/upload'
#: What may be sent to. Gradio has more: recordings of the screen, other servers behind this one, and so on.
_SENT_TO = re.compile(r'/gradio_api/(upload|queue/join/?|cancel|reset/?|(run|call|api)/[\w/.-]+)')
#: What nobody reads: files (pictures are part of the page), addresses that the server would fetch, pages of gradio.
_NOT_READ = re.compile(r'.*(/proxy=|/file=|/file/|/stream/|/deep_link|/custom_component/|/monitoring).*', re.IGNORECASE)
#: What is no file is small: names, labels, numbers.
_MOST_BYTES = 1_000_000
#: The browser loads nothing from elsewhere, whatever a page or gradio itself asks for.
_HEADERS = [
    (
        b'content-security-policy',
        b"default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; object-src 'none'; base-uri 'self'; "
        b"form-action 'self'",
    ),
    (b'x-content-type-options', b'nosniff'),
    (b'referrer-policy', b'no-referrer'),
]


class Gate:
    """Lets pass what the page and its API need, tells of uploads, and keeps browsers from other hosts.

    Args:
        app: The application behind it.
        uploads: Is told of each file that arrived.
    """

    def __init__(self, app: Callable[..., Awaitable[None]], uploads: Uploads) -> None:
        self._app, self._uploads = app, uploads

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope['type'] != 'http':
            await self._app(scope, receive, send)
            return
        path, is_read = scope['path'], scope['method'] in ('GET', 'HEAD', 'OPTIONS')
        if _NOT_READ.fullmatch(path) or (not is_read and not _SENT_TO.fullmatch(path)):
            await _refuse(send, 404, 'There is nothing here.')
        elif not is_read and path != _UPLOAD and _length(scope) > _MOST_BYTES:
            await _refuse(send, 413, 'That is too much text.')
        elif path == _UPLOAD and not is_read:
            await self._take(scope, receive, send)
        else:
            await self._app(scope, receive, _with_headers(send))

    async def _take(self, scope: Message, receive: Receive, send: Send) -> None:
        """Let a file arrive, and take note of where it is."""
        body, status, is_there = bytearray(), 0, False

        async def hearing(message: Message) -> None:
            nonlocal status, is_there
            if message['type'] == 'http.response.start':
                status = message['status']
            else:
                body.extend(message.get('body', b''))
                if not message.get('more_body') and not is_there:  # before the sender knows, who may ask at once
                    is_there = True
                    self._uploads.end(paths_of(json.loads(bytes(body))) if status == 200 else ())
            await _with_headers(send)(message)

        self._uploads.begin()
        try:
            await self._app(scope, receive, hearing)
        finally:
            if not is_there:
                self._uploads.end()


def _length(scope: Message) -> int:
    """The announced length of a request; one that does not announce it is too long."""
    value = dict(scope['headers']).get(b'content-length', b'')
    return int(value) if value.isdigit() else _MOST_BYTES + 1


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message['type'] == 'http.response.start':
            message = {**message, 'headers': [*message.get('headers', []), *_HEADERS]}
        await send(message)

    return sending


async def _refuse(send: Send, status: int, text: str) -> None:
    headers = [(b'content-type', b'text/plain; charset=utf-8')]
    await send(dict(type='http.response.start', status=status, headers=headers))
    await send(dict(type='http.response.body', body=text.encode()))
