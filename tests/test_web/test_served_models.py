"""Models that are asked for any labels, and what becomes of an answer. No gradio here."""

import logging
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_images import image_config
from tiny_runs import write_corrupt

from textxfer_mm.apis import Recognizer, VideoPrediction, load_recognizer
from textxfer_mm.classifiers.bundle import ClassifierBundle
from textxfer_mm.engine.classes import rows_of
from textxfer_mm.errors import UserError
from textxfer_mm.web import served_models
from textxfer_mm.web.answers import as_data, as_html, problem_as_html
from textxfer_mm.web.served_models import Answer, ServedModel
from textxfer_mm.web.site import Site
from textxfer_mm.web.video_folder import VideoFolder


@pytest.fixture(scope='module')
def built(checkpoint):
    recognizer = Recognizer(checkpoint, device='cpu')
    return recognizer, rows_of(recognizer.model).bundle()


@pytest.fixture
def recognizer(built):
    """The model, looking for its own labels."""
    built[0].replace_classes(built[1])
    return built[0]


@pytest.fixture(scope='module')
def video(media):
    return media / 'videos' / 'a.mp4'


def test_labels_come_and_go(recognizer, checkpoint, video, tmp_path, monkeypatch):
    """Other labels give what a model built for them gives; afterwards the own ones are as before."""
    monkeypatch.setenv('TEXTXFER_CACHE', str(tmp_path))
    model = ServedModel('m', recognizer)
    assert (model.takes_labels, model.own_labels) == (True, ('waving', 'clapping'))
    before = model.answer(video).prediction
    other = model.answer(video, ['one', 'two', 'three']).prediction
    assert list(tmp_path.rglob('*.safetensors')) == []  # what visitors type is not kept
    wanted = Recognizer(checkpoint, labels=['one', 'two', 'three'], device='cpu')(video)
    assert other.class_names == wanted.class_names
    assert other.scores == pytest.approx(wanted.scores, abs=1e-6)
    assert model.answer(video).prediction == before
    assert model.answer(video, ['waving', 'clapping']).prediction == before


@pytest.mark.parametrize(
    ('labels', 'kept', 'note'),
    [
        (['arm wrestling', 'b', 'Arm-Wrestling'], ('arm wrestling', 'b'), "'arm wrestling' was given twice and counts"),
        (['a', 'a', 'a', 'b'], ('a', 'b'), "'a' was given 3 times and counts once."),
        (['a', 'b', 'a', 'b'], ('a', 'b'), "These labels were given more than once and count once: 'a', 'b'."),
        (['x' * 100, 'b', 'x' * 100], ('x' * 100, 'b'), f"'{'x' * 40}... (100 letters)' was given twice"),
    ],
)
def test_equal_labels_count_once(recognizer, video, labels, kept, note):
    answer = ServedModel('m', recognizer).answer(video, labels)
    assert answer.prediction.class_names == kept
    assert answer.notes[0].startswith(note)


def test_labels_that_look_the_same_to_the_model_are_named_once_and_shortened(recognizer, video, monkeypatch):
    """The message is for a visitor, who cannot take another text encoder."""
    long = '\u8d70' * 100
    rows = recognizer.model.cls_head.class_rows

    def made(names):
        weight = torch.nn.functional.normalize(torch.eye(len(names), 32) + 1, dim=1)
        weight[1] = weight[2] = weight[0]
        return ClassifierBundle(weight, names, ('{}',), 'x')

    monkeypatch.setattr(rows, '_make_for', made)
    with pytest.raises(UserError) as caught:
        ServedModel('m', recognizer).answer(video, [long, '\u8dd1', '\u6b65', 'waving'])
    assert str(caught.value) == (
        f"These labels look the same to the model: '{long[:40]}... (100 letters)' and '\u8dd1' and '\u6b65'. "
        'Write them otherwise: in other words, or in another language.'
    )


def test_the_rows_of_the_last_lists_are_kept(recognizer, video, monkeypatch):
    monkeypatch.setattr(served_models, 'KEPT_LISTS', 2)
    model, made = ServedModel('m', recognizer), []
    make = recognizer.model.cls_head.class_rows.make_for
    rows = recognizer.model.cls_head.class_rows
    monkeypatch.setattr(rows, 'make_for', lambda n, warn: made.append(n[0]) or make(n, warn=warn))
    for name in 'abacab':
        model.answer(video, [name, 'nothing'])
    assert made == ['a', 'b', 'c', 'b']


def test_what_the_model_does_not_know_is_said_to_who_typed_it_and_not_logged(recognizer, video, monkeypatch, caplog):
    monkeypatch.setattr(
        recognizer.model.cls_head.class_rows.source.encoder,
        'unknown',
        lambda texts: [0.5] * len(texts),
        raising=False,
    )
    model = ServedModel('m', recognizer)
    with caplog.at_level(logging.DEBUG):
        for _ in range(2):  # the second time the rows are there
            (note,) = model.answer(video, ['waving', 'être assis']).notes
            assert 'does not know all of 1 of 2 class names, and reads unknown tokens in their place: être' in note
    assert 'assis' not in caplog.text
    assert model.answer(video, ['waving', 'sitting']).notes == ()


def test_a_remark_on_a_model_stands_with_each_of_its_answers(recognizer, video):
    model = ServedModel('m', recognizer, remark='It was never trained.')
    notes = model.answer(video, ['a', 'b', 'a']).notes
    assert notes == ("'a' was given twice and counts once.", 'It was never trained.')
    assert 'It was never trained.' in as_html(model.answer(video, ['a', 'b']))


def test_a_model_without_classes_of_its_own_needs_labels(recognizer, video):
    model = ServedModel('m', recognizer, has_own_classes=False)
    assert model.own_labels == ()
    with pytest.raises(UserError, match='Type the labels to look for'):
        model.answer(video)
    assert model.answer(video, ['a', 'b']).prediction.class_names == ('a', 'b')


def test_a_closed_set_model_says_so(video):
    cfg = image_config(type='LinearClsHead', in_channels=32, num_classes=3)
    model = ServedModel('closed', Recognizer(load_recognizer(cfg, device='cpu')))
    assert not model.takes_labels
    answer = model.answer(video)
    assert answer.prediction.class_names == ('0', '1', '2')
    assert answer.frames.shape == (8, 32, 32, 3)
    with pytest.raises(UserError, match='The model closed knows its own classes alone: leave the labels empty'):
        model.answer(video, ['a', 'b'])


def test_the_box_for_labels_closes_for_a_closed_set_model(recognizer):
    pytest.importorskip('gradio', reason='gradio is not installed: pip install "textxfer_mm[web]"')
    from textxfer_mm.web import page

    cfg = image_config(type='LinearClsHead', in_channels=32, num_classes=3)
    closed = ServedModel('closed', Recognizer(load_recognizer(cfg, device='cpu')))
    site = Site(dict(open=ServedModel('open', recognizer), closed=closed), VideoFolder(), None)
    told = {name: page._labels_for(site, name) for name in site.models}
    assert [told[name]['interactive'] for name in ('open', 'closed')] == [True, False]
    assert told['open']['info'].endswith('Leave it empty for those of the model: waving, clapping.')
    assert told['closed']['info'] == 'This model knows its own classes alone.'
    told = page._labels_for(replace(site, labels=('x', 'y')), 'open')
    assert told['info'].endswith('Leave it empty for: x, y.')


def test_what_cannot_be_read_is_named_without_its_folder(recognizer, tmp_path):
    write_corrupt(tmp_path / 'bad.mp4', 'text')
    with pytest.raises(UserError) as caught:
        ServedModel('m', recognizer).answer(tmp_path / 'bad.mp4')
    assert str(caught.value) == 'bad.mp4 could not be read: a text file, not a video.'
    assert str(tmp_path) not in str(caught.value)


def test_the_timeline_is_that_of_the_labels_of_the_answer(recognizer, video, tmp_path):
    """Another question may come between the two."""
    model = ServedModel('m', recognizer)
    answer = model.answer(video, ['one', 'two'])
    model.answer(video)
    whole = model.with_timeline(answer, video)
    assert whole.timeline.class_names == ('one', 'two')
    assert (whole.prediction, answer.timeline) == (answer.prediction, None)
    assert 'class="follows"' in as_html(answer, timeline_follows=True)
    assert 'class="follows"' not in as_html(whole)
    html = as_html(replace(answer, notes=('A note.',)), timeline_follows=True)
    assert html.index('A note.') < html.index('class="frames"')  # behind the frames is the room for the progress
    write_corrupt(tmp_path / 'bad.mp4', 'text')
    with pytest.raises(UserError) as caught:
        model.with_timeline(answer, tmp_path / 'bad.mp4')
    assert 'bad.mp4' in str(caught.value)
    assert str(tmp_path) not in str(caught.value)


def test_frames_that_cannot_be_shown_are_a_note(recognizer, video, monkeypatch):
    def frames(_):
        raise UserError('The frames cannot be shown.')

    monkeypatch.setattr(recognizer, 'frames', frames)
    answer = ServedModel('m', recognizer).answer(video)
    assert answer.frames.shape == (0, 1, 1, 3)
    assert answer.notes == ('The frames cannot be shown.',)
    assert '<img' not in as_html(answer)


def test_nothing_of_a_visitor_is_markup():
    evil = '<script>alert(1)</script>"\'&'
    prediction = VideoPrediction(evil, (evil, 'b\x1b[31m'), (0.75, 0.25))
    answer = Answer(evil, evil, prediction, np.zeros((1, 8, 8, 3), np.uint8), None, (evil,))
    html = as_html(answer) + problem_as_html(evil)
    assert '<script' not in html
    assert html.count('&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#x27;&amp;') == 5
    assert '\x1b' not in html
    assert as_data(answer)['scores'] == {evil: 0.75, 'b\x1b[31m': 0.25}


@pytest.mark.parametrize(('scores', 'is_told'), [((0.75, 0.25), True), ((0.9, 0.8), False), ((0.1, 0.2), False)])
def test_shares_are_called_shares(scores, is_told):
    """Scores of a softmax, which make 100 % whatever is seen; not those of several labels at once."""
    answer = Answer('a', 'm', VideoPrediction('a', ('x', 'y'), scores), np.zeros((1, 8, 8, 3), np.uint8), None, ())
    assert ('All labels together make 100 %' in as_html(answer)) == is_told


def test_a_long_label_is_shortened_and_whole_under_the_pointer():
    label = '<b>' * 100
    prediction = VideoPrediction('a', (label, 'short'), (0.75, 0.25))
    answer = Answer('a', 'm', prediction, np.zeros((1, 8, 8, 3), np.uint8), None, ())
    html = as_html(answer)
    assert f'<span title="{"&lt;b&gt;" * 100}">{"&lt;b&gt;" * 26}&lt;\u2026</span>' in html
    assert '<th scope="row">short</th>' in html
    assert list(as_data(answer)['scores']) == [label, 'short']


@pytest.mark.parametrize(('score', 'is_told'), [(1.0, True), (0.75, False)])
def test_a_share_of_one_label_says_nothing(score, is_told):
    """A softmax gives 100 % to what stands alone; a model of several labels at once judges each by itself."""
    answer = Answer('a', 'm', VideoPrediction('a', ('x',), (score,)), np.zeros((1, 8, 8, 3), np.uint8), None, ())
    told = 'With one label the score says nothing: give another to compare with.'
    assert (told in as_html(answer)) == (told in as_data(answer)['notes']) == is_told
    assert 'All labels together' not in as_html(answer)


def test_of_many_labels_and_frames_the_page_shows_the_first():
    names = tuple(f'label {number}' for number in range(30))
    prediction = VideoPrediction('a', names, tuple(1 / 30 for _ in names))
    answer = Answer('a', 'm', prediction, np.zeros((40, 8, 8, 3), np.uint8), None, ())
    html = as_html(answer)
    shown, behind = html.split('<details class="more">')
    assert re.findall(r'<th scope="row">(.*?)</th>', shown) == list(names[:10])
    assert re.findall(r'<th scope="row">(.*?)</th>', behind) == list(names[10:])
    assert '20 further labels score lower</summary>' in behind
    assert html.count('<img') == 32
    assert 'The 40 frames that the model used, the first 32 of them' in html
    assert len(as_data(answer)['scores']) == 30
    names = tuple(f'label {number}' for number in range(1000))
    many = as_html(replace(answer, prediction=VideoPrediction('a', names, tuple(1e-3 for _ in names))))
    assert many.count('<th scope="row">') == 510
    assert '990 further labels score lower, of which these are the first 500</summary>' in many
    assert len(as_data(answer)['frames']) == 40
