"""The page itself, in gradio, and the same as an endpoint for programs."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from textxfer_mm.errors import UserError, first_few, shown
from textxfer_mm.inputs import IMAGE_SUFFIXES, VIDEO_SUFFIXES
from textxfer_mm.web.answers import as_data, as_html, problem_as_html
from textxfer_mm.web.served_models import ServedModel
from textxfer_mm.web.site import Site

logger = logging.getLogger(__name__)

_STYLE = (Path(__file__).parent / 'page.css').read_text(encoding='utf-8')
_BROKEN = 'Something went wrong here, and it is not your fault. The log of the server has the details.'
_EMPTY = '<div class="answer empty">Scores, frames and a timeline appear here.</div>'
#: One prediction at a time, of the page and of programs together; the others wait in gradio's queue.
_QUEUE = dict(concurrency_limit=1, concurrency_id='prediction')


def uploaded_file(**options: Any) -> gr.File:
    """Gradio's file, without fetching what an address leads to, and without an empty file left by each call.

    It is changed and not derived from: beside the module of a class of its own gradio writes a stub.

    Args:
        options: Those of ``gr.File``.
    """
    file = gr.File(**options)
    file.async_move_resource_to_block_cache = _where_it_is
    file.preprocess = lambda payload: None if payload is None else payload.path
    return file


async def _where_it_is(path: Any) -> str | None:
    """Take a file where it is; gradio has checked that it lies in the folder of uploads."""
    if path is not None and '://' in str(path):
        raise gr.Error('Upload the file itself: addresses are not fetched.', print_exception=False)
    return None if path is None else str(path)


def build_page(site: Site) -> gr.Blocks:
    """The page of a site, and its endpoint ``/predict``."""
    with gr.Blocks(title='textxfer', analytics_enabled=False) as page:
        gr.HTML(
            '<h1>What happens in this video?</h1><p>Give a video and some labels. You see how well each label fits, '
            'the frames that were looked at, and what happens when.</p>'
        )
        with gr.Row():
            with gr.Column(scale=2, min_width=300):
                upload = uploaded_file(
                    label=f'Video or image (up to {site.most_megabytes:g} MB)',
                    file_types=[*VIDEO_SUFFIXES, *IMAGE_SUFFIXES],
                    height=150,
                    elem_id='upload',
                )
                choice = gr.Dropdown(
                    list(site.videos.names),
                    value=None,
                    label='or choose one',
                    visible=bool(site.videos.names),
                    elem_id='choice',
                )
                labels = gr.Textbox(
                    ', '.join(site.labels),
                    label='Labels',
                    info=_hint(next(iter(site.models.values())), site),
                    placeholder='waving, clapping hands, jumping',
                    lines=3,
                    elem_id='labels',
                )
                model = gr.Dropdown(
                    list(site.models), label='Model', visible=len(site.models) > 1, elem_id='model', filterable=False
                )
                with_timeline = gr.Checkbox(
                    True,
                    label='Timeline: what happens when',
                    info='Takes a while for long videos. Without it one answer is given for the whole video.',
                    elem_id='timeline',
                )
                go = gr.Button('Recognise', variant='primary', elem_id='go')
            with gr.Column(scale=3, min_width=300):
                answer = gr.HTML(_EMPTY, elem_id='answer', padding=False)
        inputs = [upload, choice, labels, model, with_timeline]
        private = dict(api_visibility='private', queue=False, show_progress='hidden')
        upload.upload(_holding(site), upload, choice, **private)
        upload.clear(_dropping(site), None, None, **private)
        choice.input(_choosing(site), choice, upload, **private)
        model.change(lambda name: _labels_for(site, name), model, labels, **private)
        go.click(_showing(site), inputs, answer, api_visibility='private', **_QUEUE)
        _add_endpoint(site)
        page.unload(_dropping(site))
    return page


def launch_options(site: Site) -> dict[str, Any]:
    """How gradio starts: nothing shared, nothing counted, nothing from elsewhere, no file but uploads."""
    fonts = dict(font=['system-ui', 'sans-serif'], font_mono=['ui-monospace', 'monospace'])
    off = dict(share=False, inbrowser=False, enable_monitoring=False, pwa=False, mcp_server=False, ssr_mode=False)
    return dict(
        **off,
        run_history=False,
        quiet=True,
        footer_links=[],
        allowed_paths=[],
        max_file_size=int(site.most_megabytes * 1024**2),
        theme=gr.themes.Default(primary_hue='blue', **fonts),
        css=_STYLE,
    )


def _hint(model: ServedModel, site: Site) -> str:
    """What the box for labels says of a model."""
    if not model.takes_labels:
        return f'This model knows its own classes alone{model.own_in_brackets}.'
    what = 'Separated by commas, or one a line.'
    if site.labels:
        what += f' Leave it empty for: {first_few(site.labels, 5)}.'
    elif model.own_labels:
        what += f' Leave it empty for those of the model: {first_few(model.own_labels, 5)}.'
    return what


def _labels_for(site: Site, name: str) -> Any:
    """The box for labels, for another model."""
    model = site.models[name]
    return gr.update(interactive=model.takes_labels, info=_hint(model, site))


def _showing(site: Site) -> Callable[..., Iterator[str]]:
    """What the button does: scores and frames at once, the timeline behind them."""

    def show(
        upload: str | None,
        choice: str | None,
        labels: str,
        model: str,
        with_timeline: bool,
        progress: Any = gr.Progress(),  # noqa: B008  (gradio finds it by its default)
    ) -> Iterator[str]:
        def tell(done: int, total: int) -> None:
            progress((done, total), desc='Looking through the video', unit='windows')

        if not site.models[model].takes_labels:
            labels = ''  # the box is closed
        answer = None
        try:
            answer = site.answer(upload, choice, labels, model)
            yield as_html(answer, timeline_follows=with_timeline)
            if with_timeline:
                answer = site.with_timeline(answer, upload, choice, tell)
                yield as_html(answer)
        except UserError as error:
            yield (as_html(answer) if answer else '') + problem_as_html(str(error))
        except Exception:
            logger.exception('The page could not answer')
            yield problem_as_html(_BROKEN)

    return show


def _add_endpoint(site: Site) -> None:
    """The endpoint: what it is given has names and defaults of its own, its answer is data."""

    def predict(
        file: str | None = None,
        video: str | None = None,
        labels: Any = '',
        model: str | None = None,
        timeline: bool = False,
    ) -> dict[str, Any]:
        try:
            with site.uploads.lent(file):
                answer = site.answer(file, video, labels, model)
                return as_data(site.with_timeline(answer, file, video) if timeline else answer)
        except UserError as error:
            raise gr.Error(shown(error, None), duration=None, print_exception=False) from None
        except Exception as error:
            logger.exception('The endpoint could not answer')
            raise gr.Error(_BROKEN, duration=None, print_exception=False) from error

    inputs = [
        uploaded_file(label='A video or an image', visible=False),
        gr.Textbox('', label='Instead of it: the name of a video on the server', visible=False),
        _box_for_labels(label='Labels: separated by commas, one a line, or a list of texts', visible=False),
        gr.Textbox('', label='The name of a model; the first one by default', visible=False),
        gr.Checkbox(False, label='Whether to say what happens when', visible=False),
    ]
    data = gr.JSON(label='scores, frames, timeline, notes', visible=False)
    told = 'Recognise a video or an image among labels.'
    gr.Button(visible=False).click(predict, inputs, data, api_name='predict', api_description=told, **_QUEUE)


def _box_for_labels(**options: Any) -> gr.Textbox:
    """Gradio's box for text, which hands a list over as it is: gradio's own makes one text of it, brackets and all.

    Args:
        options: Those of ``gr.Textbox``.
    """
    box = gr.Textbox('', **options)
    box.preprocess = lambda payload: payload
    box.api_info = lambda: dict(anyOf=[dict(type='string'), dict(type='array', items=dict(type='string'))])
    return box


def _holding(site: Site) -> Callable[..., None]:
    def hold(upload: str | None, request: gr.Request) -> None:
        site.uploads.hold(request.session_hash, upload)

    return hold


def _choosing(site: Site) -> Callable[..., None]:
    def choose(choice: str | None, request: gr.Request) -> Any:
        if choice is None:
            return gr.skip()
        site.uploads.hold(request.session_hash, None)
        return None

    return choose


def _dropping(site: Site) -> Callable[..., None]:
    def drop(request: gr.Request) -> None:
        site.uploads.hold(request.session_hash, None)

    return drop
