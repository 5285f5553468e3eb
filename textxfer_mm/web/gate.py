"""What comes before gradio sees a request, and goes behind its answer (ASGI: https://asgi.readthedocs.io)."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, NoReturn
from urllib.parse import urlsplit

from textxfer_mm.web.uploads import Uploads, paths_of

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_UPLOAD = '/gradio_api/upload'
#: What may be sent to. Gradio has more: recordings of the screen, other servers behind this one, and so on.
_SENT_TO = re.compile(r'/gradio_api/(upload|queue/join/?|cancel|reset/?|(run|call|api)/[\w/.-]+)')
#: What may be read: the page and its parts, and what becomes of a call. Gradio has more: files (here pictures are part
#: of the page), addresses that the server would fetch, pages of its own.
_READ = re.compile(
    r'/|/(config|theme\.css|favicon\.ico|robots\.txt|manifest\.json)/?|/(assets|static|svelte)/[\w./@~%-]+'
    r'|/gradio_api/(info|app_id|startup-events|theme\.css|upload_progress|queue/(data|status)'
    r'|(heartbeat|call/[\w.-]+)/\w+)/?'
)
_NOT_MEANT = (
    'This page is for the machine that it runs on: open it by the address that textxfer serve printed, or start it '
    'with --allow-host NAME to call it by another name.'
)
#: What is no file is small: names, labels, numbers.
_MOST_BYTES = 1_000_000
#: What a request says beside the file that it brings, in bytes.
_BESIDE = 2**16
#: Seconds within which more of a request must come.
_PATIENCE = 60
#: What gradio's page tells those who show previews of links: gradio's name, and a picture from elsewhere.
_PREVIEW = re.compile(rb'\s*<meta\s+(?:property="og:|name="twitter:)[^>]*>')
_TITLE = (
    b'<meta property="og:title" content="textxfer" /><meta property="og:type" content="website" />'
    b'<meta property="og:description" content="What happens in a video: scores of labels, and when." />'
)
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
        most_megabytes: The largest upload: of all that one request brings, not of each file in it.
        names: By which names of hosts it is called, in lower case; None for any. Another name is that of a page of
            somebody else, who lets it lead to this machine to read what is here ("DNS rebinding").
        proxies: Names by which browsers know it through a proxy, in lower case; they count among ``names`` as well.
    """

    def __init__(
        self,
        app: Callable[..., Awaitable[None]],
        uploads: Uploads,
        most_megabytes: float,
        names: frozenset[str] | None = None,
        proxies: frozenset[str] = frozenset(),
    ) -> None:
        self._app, self._uploads = app, uploads
        self._names, self._proxies = None if names is None else names | proxies, proxies
        self._most_bytes = int(most_megabytes * 1024**2) + _BESIDE
        self._too_large = f'An upload has {most_megabytes:g} MB at most.'

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope['type'] == 'lifespan':  # the start and the end
            await self._app(scope, receive, send)
            return
        if scope['type'] != 'http':  # the page has no sockets
            await send(dict(type='websocket.close', code=1008))
            return
        path, is_read = scope['path'], scope['method'] in ('GET', 'HEAD', 'OPTIONS')
        if not self._is_meant(dict(scope['headers'])):
            await _refuse(send, 403, _NOT_MEANT)
        elif not (_READ if is_read else _SENT_TO).fullmatch(path):
            await _refuse(send, 404, 'There is nothing here.')
        elif path == '/' and scope['method'] == 'GET':
            await self._pass(scope, _Body(receive, _MOST_BYTES, ''), _with_own_preview(send))
        elif path == _UPLOAD and not is_read:
            await self._take(scope, _Body(receive, self._most_bytes, self._too_large), send)
        else:
            await self._pass(scope, _Body(receive, _MOST_BYTES, 'That is too much text.'), send)

    def _is_meant(self, headers: dict[bytes, bytes]) -> bool:
        """Whether a request is for this page, and comes from it where it comes from a page at all."""
        if self._names is None:
            return True
        host, origin = headers.get(b'host', b'').lower(), headers.get(b'origin')
        if _host_in(b'//' + host) not in self._names:
            return False
        return origin is None or origin.lower().partition(b'://')[2] == host or _host_in(origin) in self._proxies

    async def _pass(self, scope: Message, body: '_Body', send: Send) -> None:
        """Let the application answer, unless its request is refused while it comes."""
        has_begun = False

        async def sending(message: Message) -> None:
            nonlocal has_begun
            if body.refusal is None or has_begun:  # else it would answer to the half of a request
                has_begun = True
                await send(message)

        if body.announces_too_much(scope):
            await _refuse(send, *body.refusal)
            return
        try:
            await self._app(scope, body, _with_headers(sending))
        except Exception:
            if body.refusal is None or has_begun:
                raise
        if body.refusal is not None and not has_begun:
            await _refuse(send, *body.refusal)

    async def _take(self, scope: Message, body: '_Body', send: Send) -> None:
        """Let a file arrive, and take note of where it is."""
        told, status, is_there = bytearray(), 0, False

        async def hearing(message: Message) -> None:
            nonlocal status, is_there
            if message['type'] == 'http.response.start':
                status = message['status']
            else:
                told.extend(message.get('body', b''))
                if not message.get('more_body') and not is_there:  # before the sender knows, who may ask at once
                    is_there = True
                    self._uploads.end(paths_of(json.loads(bytes(told))) if status == 200 else ())
            await send(message)

        self._uploads.begin()
        try:
            await self._pass(scope, body, hearing)
        finally:
            if not is_there:
                self._uploads.end()


class _Body:
    """The body of a request as it comes, which may neither be too long nor stand still.

    Its length counts and not the one that it announces, which may be missing.

    Args:
        receive: Where it comes from.
        most: The most bytes.
        too_much: What is said of more.

    Attributes:
        refusal: Why it is not taken, once it is not: a status of HTTP and a sentence.
    """

    def __init__(self, receive: Receive, most: int, too_much: str) -> None:
        self._receive, self._most, self._too_much = receive, most, too_much
        self._length, self._is_whole = 0, False
        self.refusal: tuple[int, str] | None = None

    def announces_too_much(self, scope: Message) -> bool:
        """Whether a request says itself that it is too long; then it is refused."""
        value = dict(scope['headers']).get(b'content-length', b'')
        if value.isdigit() and int(value) > self._most:
            self.refusal = 413, self._too_much
        return self.refusal is not None

    async def __call__(self) -> Message:
        """The next part.

        Raises:
            MultiPartException: There is too much, or no more comes; gradio deletes what it has when it meets that.
        """
        if self._is_whole:  # what still comes is that the other side has gone
            return await self._receive()
        try:
            message = await asyncio.wait_for(self._receive(), _PATIENCE)
        except TimeoutError:
            self._stop(408, 'The rest of the request did not come.')
        self._length += len(message.get('body', b''))
        self._is_whole = not message.get('more_body', False)
        if self._length > self._most:
            self._stop(413, self._too_much)
        return message

    def _stop(self, status: int, text: str) -> NoReturn:
        from starlette.formparsers import MultiPartException

        self.refusal = status, text
        raise MultiPartException(text)


def _host_in(address: bytes) -> str:
    """The name of the host in an address; empty where there is none."""
    try:
        return urlsplit(address.decode('latin-1')).hostname or ''
    except ValueError:  # half of an IPv6 address
        return ''


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message['type'] == 'http.response.start':
            message = {**message, 'headers': [*message.get('headers', []), *_HEADERS]}
        await send(message)

    return sending


def _with_own_preview(send: Send) -> Send:
    """Put the preview of this page in the place of gradio's."""
    start: Message = {}
    page = bytearray()

    async def sending(message: Message) -> None:
        nonlocal start
        if message['type'] == 'http.response.start':
            start = message  # its length is not known yet
            return
        page.extend(message.get('body', b''))
        if not message.get('more_body'):
            body = _PREVIEW.sub(b'', bytes(page)).replace(b'<head>', b'<head>' + _TITLE, 1)
            headers = [(name, value) for name, value in start['headers'] if name.lower() != b'content-length']
            await send({**start, 'headers': [*headers, (b'content-length', str(len(body)).encode())]})
            await send(dict(type='http.response.body', body=body))

    return sending


async def _refuse(send: Send, status: int, text: str) -> None:
    headers = [(b'content-type', b'text/plain; charset=utf-8'), (b'connection', b'close')]
    await send(dict(type='http.response.start', status=status, headers=headers))
    await send(dict(type='http.response.body', body=text.encode()))
