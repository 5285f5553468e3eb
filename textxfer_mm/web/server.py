"""The server: it begins with its folder for uploads, and leaves nothing when it ends."""

import errno
import ipaddress
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from textxfer_mm.errors import UserError
from textxfer_mm.web.gate import Gate
from textxfer_mm.web.served_models import ServedModel
from textxfer_mm.web.site import Site
from textxfer_mm.web.uploads import Uploads
from textxfer_mm.web.video_folder import VideoFolder

#: How a machine calls itself.
_OWN_NAMES = ('127.0.0.1', 'localhost', '::1')


@contextmanager
def serving(
    models: Sequence[ServedModel],
    *,
    videos: str | Path | None = None,
    labels: Sequence[str] = (),
    host: str = '127.0.0.1',
    port: int = 7860,
    most_megabytes: float = 200,
    keep: float = 600,
    other_names: Sequence[str] = (),
) -> Iterator[str]:
    """Serve the page while the body runs; what was uploaded is deleted at its end.

    Args:
        models: The models to choose from; the first one is chosen at the beginning.
        videos: A folder of videos to choose from.
        labels: The labels that are looked for where none are given.
        host: The address to listen at; others than this machine's own open the page to the network.
        port: The port; 0 takes a free one.
        most_megabytes: The largest upload: of all that one request brings.
        keep: Seconds that an upload may live without being used.
        other_names: Names of hosts by which the page is called as well, such as that of a proxy before it. They matter
            where only this machine can reach it: it then answers to no name but these and its own.

    Yields:
        The address of the page.

    Raises:
        UserError: gradio is not installed, the port is in use, the host is no address of this machine, or there is no
            such folder of videos.
    """
    folder = VideoFolder(videos)
    port = free_port(host, port)
    uploads = Uploads(keep)
    environment = dict(GRADIO_TEMP_DIR=str(uploads.folder), GRADIO_ANALYTICS_ENABLED='False')
    reached_directly = [os.environ.get('NO_PROXY', ''), 'localhost', _in_address(host)]
    environment['NO_PROXY'] = ','.join(filter(None, reached_directly))  # gradio looks whether it can be reached
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)  # gradio reads them when it is imported, and when it starts
    page = site = None
    try:
        page_module = _import_page()
        site = Site({model.name: model for model in models}, folder, uploads, tuple(labels), most_megabytes)
        page = page_module.build_page(site)
        from starlette.middleware import Middleware

        names = None if is_open_to_others(host) else frozenset((*_OWN_NAMES, host.lower()))
        proxies = frozenset(map(str.lower, other_names))
        limits = dict(uploads=uploads, most_megabytes=most_megabytes, names=names, proxies=proxies)
        gate = dict(middleware=[Middleware(Gate, **limits)])
        options = page_module.launch_options(site)
        page.launch(server_name=host, server_port=port, prevent_thread_lock=True, app_kwargs=gate, **options)
        yield f'http://{_in_address(host)}:{port}/'
    finally:
        if site is not None:
            site.closing.set()
        if page is not None:
            page.close(verbose=False)
        uploads.close()
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def is_open_to_others(host: str) -> bool:
    """Whether other machines can reach what listens at a host, which has to be known (:func:`free_port`)."""
    found = {address[0].partition('%')[0] for *_, address in socket.getaddrinfo(host, None)}
    return not all(ipaddress.ip_address(address).is_loopback for address in found)


def free_port(host: str, port: int) -> int:
    """The port, or a free one for 0.

    Raises:
        UserError: The port is in use or not allowed, or the host is no address of this machine.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            return probe.getsockname()[1]
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            reason = f'--port {port} is in use: give another one, or 0 for any that is free.'
        elif error.errno == errno.EACCES:
            reason = f'--port {port} is not allowed to this user: give one above 1023.'
        else:
            reason = f'--host {host} is no address of this machine ({error.strerror}): give 127.0.0.1 or 0.0.0.0.'
        raise UserError(reason) from error


def require_gradio() -> None:
    """Check that gradio is there.

    Raises:
        UserError: It is not.
    """
    from importlib.util import find_spec

    if find_spec('gradio') is None:
        raise UserError('The page needs gradio, which is not installed: pip install "textxfer_mm[web]".')


def _import_page() -> ModuleType:
    require_gradio()
    from textxfer_mm.web import page

    return page


def _in_address(host: str) -> str:
    """A host in an address that a browser on this machine can open."""
    if host in ('0.0.0.0', '::'):
        return '127.0.0.1'
    return f'[{host}]' if ':' in host else host
