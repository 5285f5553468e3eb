"""The page as an endpoint for programs: answers, twenty callers at once, and tricks that are refused."""

import base64
import io
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny_runs import write_video
from web_files import files_in, wait_until

import textxfer_mm.web
from textxfer_mm.apis import Recognizer
from textxfer_mm.engine.classes import source_of

gradio_client = pytest.importorskip('gradio_client', reason='gradio is not installed: pip install "textxfer_mm[web]"')
httpx = pytest.importorskip('httpx')


@pytest.fixture(scope='module')
def client(server):
    return gradio_client.Client(server[0], verbose=False, analytics_enabled=False)


def ask(client, file, labels='', **options):
    return client.predict(file=gradio_client.handle_file(str(file)), labels=labels, api_name='/predict', **options)


def refusal(server, **data):
    """What the server answers to a call that no client of gradio's would make."""
    given = dict(dict(file=None, video='', labels='a, b', model='', timeline=False), **data)
    address = f'{server[0]}gradio_api/call/predict'
    begun = httpx.post(address, json=dict(data=list(given.values())))
    if begun.status_code != 200:
        return begun.text
    with httpx.stream('GET', f'{address}/{begun.json()["event_id"]}', timeout=30) as answer:
        text = ''.join(answer.iter_text())
    assert 'event: error' in text, text
    return text


def test_an_answer_is_that_of_the_recognizer(client, server, checkpoint, media):
    video = media / 'videos' / 'a.mp4'
    answer = ask(client, video, 'waving, jumping\nrunning', timeline=True)
    recognizer = Recognizer(checkpoint, labels=['waving', 'jumping', 'running'], device='cpu')
    wanted = recognizer(video).top(3)
    assert list(answer['scores']) == [label for label, _ in wanted]
    assert list(answer['scores'].values()) == pytest.approx([score for _, score in wanted], abs=1e-5)
    assert (answer['file'], answer['model'], answer['notes']) == ('a.mp4', 'my_actions', [])
    frames = [opened(picture) for picture in answer['frames']]
    assert np.abs(np.stack(frames).astype(int) - recognizer.frames(video)).mean() < 12  # JPEG of noise
    timeline = answer['timeline']
    assert (timeline['video'], timeline['segments'][-1]['end']) == ('a.mp4', 6)
    assert opened(timeline['picture']).shape[1] == 840
    assert files_in(server[1]) == []


def opened(picture):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(picture.partition(',')[2]))).convert('RGB'))


def test_without_labels_a_model_looks_for_its_own(client, media):
    assert set(ask(client, media / 'videos' / 'a.mp4')['scores']) == {'waving', 'clapping'}
    assert set(ask(client, media / 'videos' / 'a.mp4', model='other')['scores']) == {'one', 'two'}


def test_a_video_of_the_server_and_an_image(client, media, tmp_path):
    answer = client.predict(video='sub/b.mp4', labels='a, b', api_name='/predict')
    assert answer['file'] == 'b.mp4'
    Image.new('RGB', (64, 32), 'red').save(tmp_path / 'red.png')
    answer = ask(client, tmp_path / 'red.png', 'a, b', timeline=True)
    assert answer['timeline'] is None
    assert answer['notes'] == ['An image has no timeline.']
    assert opened(answer['frames'][0])[16, 16].tolist() == pytest.approx([254, 0, 0], abs=3)


def test_twenty_at_once_get_their_own_answers_and_leave_no_file(server, client, checkpoint, tmp_path):
    """Four pairs of callers send the same file by the same name, and so share a place on the server."""
    jobs = []
    for number in range(20):
        video = tmp_path / f'{number % 16}.mp4'
        write_video(video, number % 2, frames=10 + number % 16, seed=number % 16)
        jobs.append((video, [f'action {number}', f'thing {number}', 'nothing']))

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda job: ask(client, job[0], ', '.join(job[1])), jobs))
    direct = Recognizer(checkpoint, device='cpu')
    for (video, labels), answer in zip(jobs, answers, strict=True):
        direct.replace_classes(source_of(direct.model.cfg, labels).build())
        wanted = direct(video)
        assert answer['file'] == video.name
        assert answer['scores'] == pytest.approx(dict(zip(wanted.class_names, wanted.scores, strict=True)), abs=1e-5)
    wait_until(lambda: not files_in(server[1]))


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(labels='a, a'), 'Duplicate class names'),
        (dict(labels=', '.join(map(str, range(501)))), '501 labels are too many: give 500 at most.'),
        (dict(labels='a' * 301), 'A label has 300 letters at most, this one has 301'),
        (dict(labels='a, b', model='others'), "There is no model 'others' here. Did you mean: other?"),
        (dict(labels='a, b', video='a.mp4'), 'both an upload and the name of a video'),
    ],
)
def test_mistakes_are_one_line_and_leave_no_file(client, server, media, options, message):
    with pytest.raises(gradio_client.exceptions.AppError) as caught:
        ask(client, media / 'videos' / 'a.mp4', **options)
    assert message in str(caught.value)
    assert '\n' not in str(caught.value)
    assert files_in(server[1]) == []


def test_a_broken_file_is_one_line(client, server, media, capfd):
    with pytest.raises(gradio_client.exceptions.AppError) as caught:
        ask(client, media / 'broken.mp4', 'a, b')
    assert str(caught.value).startswith('broken.mp4 could not be read: truncated or damaged MP4')
    assert 'Traceback' not in ''.join(capfd.readouterr())
    assert files_in(server[1]) == []


def test_no_file_at_all(client):
    with pytest.raises(gradio_client.exceptions.AppError, match=r'There is no video\. Give a video or an image\.'):
        client.predict(labels='a, b', api_name='/predict')


def test_a_file_over_the_limit_is_refused_before_it_is_kept(server, client, media):
    large = (media / 'large.mp4').read_bytes()
    assert len(large) > 0.25 * 1024**2
    answer = httpx.post(f'{server[0]}gradio_api/upload', files=dict(files=('large.mp4', large)))
    assert answer.status_code == 413
    assert answer.text == 'File size exceeded maximum allowed size of 262144 bytes.'
    assert files_in(server[1]) == []
    with pytest.raises(ValueError, match='exceeds the maximum file size of 262144 bytes'):
        ask(client, media / 'large.mp4', 'a, b')


@pytest.mark.parametrize('meta', [{}, dict(meta=dict(_type='gradio.FileData'))], ids=['bare', 'as a client'])
def test_no_other_file_can_be_read(server, media, meta):
    inside = server[1] / 'planted.mp4'
    inside.symlink_to(media / 'secret.mp4')
    try:
        for path in (
            '/etc/passwd',
            str(media / 'secret.mp4'),
            f'{server[1]}/../../{media / "secret.mp4"}',
            str(inside),
            'http://127.0.0.1:9/a.mp4',
            'file:///etc/passwd',
        ):
            told = refusal(server, file=dict(path=path, url=path, **meta))
            assert 'scores' not in told
            assert 'root:' not in told
    finally:
        inside.unlink()


@pytest.mark.parametrize('name', ['link.mp4', '../secret.mp4', 'sub/../a.mp4', '/etc/passwd', 'sub'])
def test_no_other_video_can_be_chosen(server, name):
    assert 'There is no video' in refusal(server, video=name)


def test_no_other_address_leads_to_a_file(server, media):
    for path in (
        'gradio_api/file=/etc/passwd',
        f'gradio_api/file={media / "secret.mp4"}',
        f'gradio_api/file={media / "videos" / "a.mp4"}',
        f'gradio_api/file={server[1]}/../../etc/passwd',
        'gradio_api/file=..%2f..%2f..%2fetc/passwd',
        'file=/etc/passwd',
        'static/..%2f..%2f..%2f..%2fetc/passwd',
        'gradio_api/proxy=http://127.0.0.1:9/a',
    ):
        answer = httpx.get(f'{server[0]}{path}')
        assert answer.status_code in (403, 404), path
        assert 'root:' not in answer.text


def test_what_the_page_does_not_need_is_closed(server):
    for path in ('gradio_api/process_recording', 'gradio_api/component_server', 'gradio_api/vibe-edit/', 'login'):
        assert httpx.post(f'{server[0]}{path}', json={}).status_code == 404
    long = dict(data=['a' * 2_000_000])
    assert httpx.post(f'{server[0]}gradio_api/call/predict', json=long).status_code == 413
    answer = httpx.get(server[0])
    assert answer.status_code == 200
    assert "default-src 'self'" in answer.headers['content-security-policy']


def test_the_endpoint_says_what_it_takes(client):
    (endpoint,) = client.view_api(return_format='dict', print_info=False)['named_endpoints'].items()
    assert endpoint[0] == '/predict'
    names = [parameter['parameter_name'] for parameter in endpoint[1]['parameters']]
    assert names == ['file', 'video', 'labels', 'model', 'timeline']
    assert all(parameter['parameter_has_default'] for parameter in endpoint[1]['parameters'])
    assert json.dumps(endpoint)


def test_gradio_writes_nothing_into_the_package(server):
    assert [path.name for path in Path(textxfer_mm.web.__file__).parent.glob('*.pyi')] == []
