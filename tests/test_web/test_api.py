"""The page as an endpoint for programs: answers, twenty callers at once, and tricks that are refused."""

import asyncio
import base64
import http.client
import io
import json
import select
import socket
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
from textxfer_mm.web import gate

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


def test_labels_may_be_a_list(client, media):
    """In a list a label may have a comma of its own."""
    answer = ask(client, media / 'videos' / 'a.mp4', ['waving', ' jumping, high ', ''])
    assert set(answer['scores']) == {'waving', 'jumping, high'}
    assert set(ask(client, media / 'videos' / 'a.mp4', [])['scores']) == {'waving', 'clapping'}


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
        (dict(labels=', '.join(map(str, range(501)))), '501 labels are too many: give 500 at most.'),
        (dict(labels=['a', 1]), "Labels are a text (a, b) or a list of texts, not ['a', 1]."),
        (dict(labels={'a': 'b'}), "Labels are a text (a, b) or a list of texts, not {'a': 'b'}."),
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
    with pytest.raises(
        gradio_client.exceptions.AppError,
        match=r'There is no video\. Give a video or an image \(mp4, avi, .*, jpg, .*; at most 0\.25 MB\)\.',
    ):
        client.predict(labels='a, b', api_name='/predict')


def test_a_file_over_the_limit_is_refused_before_it_is_kept(server, client, media):
    large = (media / 'large.mp4').read_bytes()
    assert len(large) > 0.25 * 1024**2 + 2**16
    answer = httpx.post(f'{server[0]}gradio_api/upload', files=dict(files=('large.mp4', large)))
    assert (answer.status_code, answer.text) == (413, TOO_LARGE)
    assert files_in(server[1]) == []
    with pytest.raises(ValueError, match='exceeds the maximum file size of 262144 bytes'):
        ask(client, media / 'large.mp4', 'a, b')


TOO_LARGE = 'An upload has 0.25 MB at most.'
ONE_FILE = b'--x\r\nContent-Disposition: form-data; name="files"; filename="%d.mp4"\r\n\r\n' + b'0' * 100_000 + b'\r\n'


def endless():
    """Files that are small enough, one after the other; who asks for a hundred was never told to stop."""
    for number in range(100):
        yield ONE_FILE % number
    raise AssertionError('all of it was taken')


def test_the_limit_is_that_of_a_request_and_not_of_each_file(server):
    """One that announces its length is refused at once, one that does not (chunked) as soon as it is too long."""
    many = [('files', (f'{number}.mp4', bytes(100_000))) for number in range(5)]
    answer = httpx.post(f'{server[0]}gradio_api/upload', files=many)
    assert (answer.status_code, answer.text) == (413, TOO_LARGE)
    headers = {'content-type': 'multipart/form-data; boundary=x'}
    assert endless_answer(server, '/gradio_api/upload', headers, endless()) == (413, TOO_LARGE)
    text = (b'a' * 100_000 for _ in range(100))
    for more in ({}, {'content-length': '10'}):  # a length that is not so counts for nothing
        told = endless_answer(server, '/gradio_api/call/predict', {'content-type': 'application/json', **more}, text)
        assert told in ((413, 'That is too much text.'), (400, 'Invalid HTTP request received.'))
    wait_until(lambda: not files_in(server[1]))


def endless_answer(server, path, headers, parts):
    """Status and text of the answer to a request of chunks, read as soon as there is one."""
    address = httpx.URL(server[0])
    with socket.create_connection((address.host, address.port), timeout=30) as line:
        lines = [f'POST {path} HTTP/1.1', 'host: localhost', 'transfer-encoding: chunked']
        lines += [f'{name}: {value}' for name, value in headers.items()]
        line.sendall('\r\n'.join([*lines, '', '']).encode())
        for part in parts:
            if select.select([line], [], [], 0.05)[0]:
                break
            line.sendall(b'%x\r\n%s\r\n' % (len(part), part))
        answer = http.client.HTTPResponse(line)
        answer.begin()
        return answer.status, answer.read().decode()


def test_a_request_that_stands_still_is_ended(server, monkeypatch):
    monkeypatch.setattr(gate, '_PATIENCE', 0.2)
    headers = {'content-type': 'multipart/form-data; boundary=x'}
    told = endless_answer(server, '/gradio_api/upload', headers, iter([ONE_FILE % 1]))
    assert told == (408, 'The rest of the request did not come.')
    wait_until(lambda: not files_in(server[1]))


def test_a_program_cannot_give_back_what_a_page_holds(server, client, media, served):
    """A call that names the file of a page by its path is answered, and the page still has its file."""
    content = (media / 'videos' / 'a.mp4').read_bytes()
    answer = httpx.post(f'{server[0]}gradio_api/upload', files=dict(files=('a.mp4', content)))
    (path,) = answer.json()
    served[1].hold('a page', path)
    for _ in range(2):
        given = [dict(path=path, meta=dict(_type='gradio.FileData')), '', 'a, b', '', False]
        begun = httpx.post(f'{server[0]}gradio_api/call/predict', json=dict(data=given)).json()['event_id']
        assert 'event: complete' in httpx.get(f'{server[0]}gradio_api/call/predict/{begun}', timeout=30).text
        assert len(files_in(server[1])) == 1
    served[1].hold('a page', None)
    wait_until(lambda: not files_in(server[1]))


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
        'gradio_api/file=http://127.0.0.1:9/a.mp4',
        'gradio_api/file=http:/127.0.0.1:9/a.mp4',
        'gradio_api/FILE=http://127.0.0.1:9/a.mp4',
        'gradio_api/file/etc/passwd',
        'gradio_api/stream/a/b/c/playlist.m3u8',
        'gradio_api/deep_link',
        'gradio_api/custom_component/a/b/c/d',
        'monitoring/summary',
    ):
        answer = httpx.get(f'{server[0]}{path}')
        assert answer.status_code in (403, 404), path
        assert answer.text == 'There is nothing here.' or path.startswith('static'), path
        assert 'root:' not in answer.text


@pytest.mark.parametrize(
    ('headers', 'is_meant'),
    [
        ({}, True),
        (dict(host='localhost:7860', origin='http://localhost:7860'), True),
        (dict(host='LOCALHOST'), True),
        (dict(host='[::1]:7860'), True),
        (dict(host='evil.example'), False),  # a name that its owner lets lead here
        (dict(host='localhost.evil.example:7860'), False),
        (dict(host='evil.example@localhost'), True),
        (dict(host='[::1'), False),
        (dict(origin='http://evil.example'), False),
        (dict(host='localhost:7860', origin='http://localhost:3000'), False),  # another page of this machine
        (dict(origin='null'), False),  # a file, or a frame that is locked in
    ],
)
def test_pages_of_others_get_and_send_nothing(server, media, headers, is_meant):
    file = dict(files=('a.mp4', (media / 'videos' / 'a.mp4').read_bytes()))
    event = dict(event_id='none')
    answers = [
        httpx.get(server[0], headers=headers),
        httpx.get(f'{server[0]}config', headers=headers),
        httpx.post(f'{server[0]}gradio_api/reset', json=event, headers=headers),
    ]
    assert [answer.status_code for answer in answers] == [200 if is_meant else 403] * 3
    if not is_meant:
        assert all('--allow-host NAME' in answer.text for answer in answers)
        assert httpx.post(f'{server[0]}gradio_api/upload', files=file, headers=headers).status_code == 403
        assert not files_in(server[1])


@pytest.mark.parametrize(
    ('names', 'host', 'origin', 'status'),
    [
        (frozenset({'localhost'}), 'demo.example', None, 200),
        (frozenset({'localhost'}), 'localhost', 'https://demo.example', 200),  # a proxy that does not hand its name on
        (frozenset({'localhost'}), 'other.example', None, 403),
        (frozenset({'localhost'}), 'localhost', 'https://other.example', 403),
        (None, 'other.example', 'https://another.example', 200),  # open to others
    ],
)
def test_by_which_names_a_page_may_be_called(names, host, origin, status):
    async def app(scope, receive, send):
        await send(dict(type='http.response.start', status=200, headers=[]))
        await send(dict(type='http.response.body', body=b''))

    async def answer():
        transport = httpx.ASGITransport(gate.Gate(app, None, 1, names, frozenset({'demo.example'})))
        async with httpx.AsyncClient(transport=transport) as client:
            return await client.get(f'http://{host}/config', headers=dict(origin=origin) if origin else {})

    assert asyncio.run(answer()).status_code == status


def test_sockets_are_closed():
    sent = []

    async def send(message):
        sent.append(message)

    asyncio.run(gate.Gate(None, None, 1)(dict(type='websocket', path='/'), None, send))
    assert sent == [dict(type='websocket.close', code=1008)]


def test_what_the_page_does_not_need_is_closed(server):
    for path in ('gradio_api/vibe-code', 'gradio_api/runs', 'gradio_api/openapi.json', 'gradio_api/token', 'user'):
        assert httpx.get(f'{server[0]}{path}').status_code == 404
    for path in ('gradio_api/process_recording', 'gradio_api/component_server', 'gradio_api/vibe-edit/', 'login'):
        assert httpx.post(f'{server[0]}{path}', json={}).status_code == 404
    long = dict(data=['a' * 2_000_000])
    assert httpx.post(f'{server[0]}gradio_api/call/predict', json=long).status_code == 413
    answer = httpx.get(server[0])
    assert answer.status_code == 200
    assert "default-src 'self'" in answer.headers['content-security-policy']


def test_a_preview_of_the_page_is_its_own(server):
    """Messengers and search engines read it: it is not gradio's, and names no picture of another host."""
    answer = httpx.get(server[0])
    assert int(answer.headers['content-length']) == len(answer.content) or 'content-encoding' in answer.headers
    assert '<meta property="og:title" content="textxfer" />' in answer.text
    for word in ('og:image', 'twitter:', 'content="Gradio"', 'raw.githubusercontent.com'):
        assert word not in answer.text, word
    assert answer.text.rstrip().endswith('</html>')


def test_the_endpoint_says_what_it_takes(client):
    (endpoint,) = client.view_api(return_format='dict', print_info=False)['named_endpoints'].items()
    assert endpoint[0] == '/predict'
    names = [parameter['parameter_name'] for parameter in endpoint[1]['parameters']]
    assert names == ['file', 'video', 'labels', 'model', 'timeline']
    assert all(parameter['parameter_has_default'] for parameter in endpoint[1]['parameters'])
    assert json.dumps(endpoint)


def test_gradio_writes_nothing_into_the_package(server):
    assert [path.name for path in Path(textxfer_mm.web.__file__).parent.glob('*.pyi')] == []
