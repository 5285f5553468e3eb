"""Class rows as modules, without any head: made once, saved, adopted, refused, replaced, and up to date."""

import copy
import logging
import pickle

import pytest
import torch
import torch.nn.functional as F
from mmengine.model import BaseModule, ExponentialMovingAverage
from tiny import TINY_VIT, FixedSource
from torch import nn

from textxfer_mm.classifiers import tower_rows
from textxfer_mm.classifiers.class_rows import ClassRows
from textxfer_mm.classifiers.prompt_rows import PromptRows
from textxfer_mm.classifiers.sources import TextClassifier
from textxfer_mm.classifiers.stored_rows import stored_rows
from textxfer_mm.classifiers.template_rows import TemplateRows
from textxfer_mm.classifiers.tower_rows import TowerRows
from textxfer_mm.engine.classes import class_names_of, rows_of
from textxfer_mm.errors import NotAtHandError, UserError
from textxfer_mm.layers.named_modules import NamedModules
from textxfer_mm.text.clip_encoder import CLIPTextEncoder
from textxfer_mm.text.text_tower import CLIPTextTower

NAMES = ['waving', 'clapping hands', 'jumping']
K, D = 3, 32


def text(names=NAMES, templates='text4vis'):
    return TextClassifier(list(names), CLIPTextEncoder(TINY_VIT), templates)


KINDS = {
    'frozen': lambda: ClassRows(text()),
    'trained': lambda: ClassRows(text(), frozen=False),
    'templates': lambda: TemplateRows(text(), ['{}', 'a video of {}']),
    'prompts': lambda: PromptRows(text()),
    'tower': lambda: TowerRows(text()),
}


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture
def encodings(monkeypatch):
    """How often a text tower ran, by whatever way."""
    calls = []
    for name in ('forward', 'forward_embeddings'):
        real = getattr(CLIPTextTower, name)
        monkeypatch.setattr(CLIPTextTower, name, lambda self, *args, _real=real: calls.append(1) or _real(self, *args))
    return calls


def move(rows):
    """What an optimizer's step does to whatever is trained."""
    with torch.no_grad():
        for parameter in rows.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))


class TestEveryKind:
    def test_trains_and_tests(self, kind):
        rows = KINDS[kind]()
        trained = rows.training_rows()
        assert trained.shape == (K, D)
        assert rows.training_rows(torch.tensor([2, 0])).shape == (2, D)
        assert trained.requires_grad == (kind in ('trained', 'prompts', 'tower'))
        want = F.normalize(text().build().weight if kind != 'prompts' else trained.detach(), dim=-1)
        torch.testing.assert_close(rows.testing_rows().detach(), want, atol=1e-5, rtol=1e-4)
        assert (rows.class_names, rows.num_classes) == (tuple(NAMES), K)

    def test_some_rows_are_those_of_all(self, kind):
        rows = KINDS[kind]()
        if kind == 'templates':
            rows._iteration = lambda: 3  # one draw
        some = rows.training_rows(torch.tensor([2, 0]))
        torch.testing.assert_close(some, rows.training_rows()[[2, 0]], atol=1e-5, rtol=1e-4)

    def test_state_dict_encodes_nothing_that_has_not_changed(self, kind, encodings):
        rows = KINDS[kind]()
        rows.state_dict()
        untouched, before = len(encodings), rows.is_filled
        assert not before
        rows.init_weights()
        made = len(encodings)
        for _ in range(3):
            rows.state_dict()
            rows.testing_rows()
            rows.bundle()
        assert len(encodings) == made
        move(rows)
        rows.state_dict()
        changed = len(encodings)
        rows.state_dict()
        rows.eval().testing_rows()
        rows.train().state_dict()
        assert len(encodings) == changed
        assert (changed > made) == (kind in ('prompts', 'tower'))
        assert untouched <= (kind == 'tower') * 2  # which weights are used is found out at construction

    def test_round_trip(self, kind, encodings):
        rows = KINDS[kind]()
        rows.init_weights()
        move(rows)
        state = copy.deepcopy(rows.state_dict())
        other = KINDS[kind]()
        encodings.clear()
        other.load_state_dict(state, strict=True)
        torch.testing.assert_close(other.testing_rows(), rows.testing_rows(), atol=0, rtol=0)
        again = other.state_dict()
        assert not encodings
        assert set(again) == set(state)
        for key, value in state.items():
            assert torch.equal(again[key], value), key

    def test_out_of_date_after_a_loaded_state_was_trained(self, kind):
        """A step between loading and the first use must not pass for what was loaded."""
        rows = KINDS[kind]()
        rows.init_weights()
        other = KINDS[kind]()
        other.load_state_dict(rows.state_dict())
        move(other)
        if kind in ('prompts', 'tower'):
            want = F.normalize(other.eval().training_rows().detach(), dim=-1)
            assert (want - rows.testing_rows()).abs().max() > 1e-3
            torch.testing.assert_close(other.state_dict()['weight'], want, atol=1e-5, rtol=1e-4)

    def test_what_was_not_filled_is_not_taken(self, kind):
        empty, rows = KINDS[kind](), KINDS[kind]()
        rows.load_state_dict(empty.state_dict())
        assert not rows.is_filled
        assert rows.bundle().weight.norm(dim=1).allclose(torch.ones(K))

    @pytest.mark.parametrize('cast', ['bfloat16', 'half', 'double'])
    def test_a_cast_leaves_rows_that_are_up_to_date_alone(self, kind, cast, monkeypatch):
        rows = KINDS[kind]()
        rows.init_weights()
        other = KINDS[kind]()
        other.load_state_dict(rows.state_dict())
        monkeypatch.setattr(CLIPTextEncoder, 'tower', lambda self: pytest.fail('the text tower was asked for'))
        monkeypatch.setattr(tower_rows, 'encode_in_batches', lambda *args, **kwargs: pytest.fail('the tower was run'))
        getattr(other, cast)()
        want = getattr(rows.testing_rows().detach().clone(), cast)()
        assert torch.equal(other.testing_rows(), want)
        assert torch.equal(other.state_dict()['weight'], want)

    def test_memory_from_the_meta_device_is_not_filled(self, kind):
        if kind == 'tower':  # whose unused weights are found by running it
            return
        with torch.device('meta'):
            rows = KINDS[kind]()
        assert not rows.is_filled
        rows.to_empty(device='cpu')
        for tensor in (*rows.parameters(), *rows.buffers()):
            tensor.data.fill_(1)
        rows.filled.fill_(False)
        rows.init_weights()
        assert rows.bundle().weight.isfinite().all()
        assert not torch.equal(rows.weight, torch.ones(K, D))

    def test_it_is_pickled(self, kind):
        rows = KINDS[kind]()
        rows.init_weights()
        other = pickle.loads(pickle.dumps(rows))
        torch.testing.assert_close(other.testing_rows(), rows.testing_rows(), atol=0, rtol=0)


class TestMovingAverages:
    """Others write into the tensors behind the module's back."""

    @pytest.mark.parametrize('kind', ['prompts', 'tower'])
    def test_writes_through_data_are_seen(self, kind):
        rows = KINDS[kind]()
        rows.init_weights()
        for parameter in rows.parameters():
            parameter.data.mul_(1.5)
        want = F.normalize(rows.eval().training_rows().detach(), dim=-1)
        torch.testing.assert_close(rows.testing_rows(), want, atol=1e-5, rtol=1e-4)

    @pytest.mark.parametrize('kind', ['prompts', 'tower'])
    def test_rows_that_somebody_wrote_over_are_made_again(self, kind):
        rows = KINDS[kind]()
        rows.init_weights()
        want = rows.testing_rows().clone()
        rows.weight.data.copy_(torch.randn(K, D))
        torch.testing.assert_close(rows.state_dict()['weight'], want)

    def test_a_copy_that_was_made_before_and_filled_by_copying_buffers(self):
        rows = KINDS['frozen']()
        early = copy.deepcopy(rows)
        rows.init_weights()
        for mine, theirs in zip(early.buffers(), rows.buffers(), strict=True):  # as MMEngine's averages do
            mine.data.copy_(theirs.data)
        early.source = None  # nothing is encoded
        assert torch.equal(early.state_dict()['weight'], rows.weight)
        assert early.is_filled


class TestReplace:
    def test_other_names_stay_until_training_goes_on(self, kind):
        if kind == 'trained':
            return
        rows = KINDS[kind]()
        given = FixedSource(('u', 'v', 'w', 'x'), D).build()
        rows.replace(given)
        assert rows.num_classes == 4
        assert torch.equal(rows.state_dict()['weight'], given.weight)
        assert rows.bundle().metadata() == given.metadata()
        move(rows)
        moved = rows.bundle()
        assert moved.class_names == ('u', 'v', 'w', 'x')
        assert (moved.encoder_id == 'fixed/0') == (kind in ('frozen', 'templates'))

    def test_templates_of_training_follow_the_names(self):
        rows = KINDS['templates']()
        rows.init_weights()
        names = ['u', 'v', 'w', 'x']
        rows.replace(text(names).build())
        rows._iteration = lambda: 3
        want = text(names).embeddings(rows.train_templates)[rows.draw()]
        torch.testing.assert_close(rows.training_rows(), want)
        rows.replace(text().build())
        torch.testing.assert_close(rows.training_rows(), text().embeddings(rows.train_templates)[rows.draw()])

    def test_rows_that_are_given_before_words_leave_the_start_of_the_context(self):
        rows, plain = PromptRows(text(), init_words='a video of'), PromptRows(text(), init_words='a video of')
        rows.replace(FixedSource(NAMES, D).build())
        rows.init_weights()
        plain.init_weights()
        assert torch.equal(rows.context, plain.context)

    def test_trained_rows_keep_their_number(self):
        rows = KINDS['trained']()
        with pytest.raises(UserError, match='trained for 3 classes cannot become rows of 6'):
            rows.replace(FixedSource(embed_dims=D).build())

    def test_width(self):
        with pytest.raises(UserError, match=r'rows of this model are 32 wide, those by fixed/0 16\. Use the text enc'):
            KINDS['frozen']().replace(FixedSource(embed_dims=16).build())


class TestCheckpoint:
    @pytest.mark.parametrize('value', [0.0, float('nan'), float('inf')])
    def test_rows_that_recognise_nothing_are_refused(self, value):
        rows = KINDS['frozen']()
        rows.init_weights()
        state = copy.deepcopy(rows.state_dict())
        state['weight'][1] = value
        other = KINDS['frozen']()
        with pytest.raises(UserError, match=r'rows of 1 of 3 classes \(clapping hands\) are zero or not finite'):
            other.load_state_dict(state)
        assert other.testing_rows().isfinite().all()

    def test_an_all_zero_matrix_is_never_taken(self):
        rows = KINDS['frozen']()
        rows.init_weights()
        state = copy.deepcopy(rows.state_dict())
        state['weight'].zero_()
        with pytest.raises(UserError, match='3 of 3 classes'):
            KINDS['frozen']().load_state_dict(state)

    def test_another_number_of_names_is_refused(self):
        rows = KINDS['frozen']()
        rows.init_weights()
        state = {**rows.state_dict(), 'weight': torch.randn(2, D)}
        with pytest.raises(UserError, match=r'class rows are \(2, 32\), but it names 3 classes: it is damaged'):
            KINDS['frozen']().load_state_dict(state)

    def test_rows_are_found_in_a_state_dict(self):
        model = nn.ModuleDict(dict(a=KINDS['frozen'](), b=ClassRows(FixedSource(embed_dims=D)), c=nn.Linear(2, 2)))
        model['a'].init_weights()
        found = stored_rows(model.state_dict())
        assert list(found) == ['a.']  # the others were never filled
        assert found['a.'].class_names == tuple(NAMES)
        assert found['a.'].encoder_id == CLIPTextEncoder(TINY_VIT).encoder_id


class TestTower:
    def test_weights_that_are_not_at_hand_leave_it_out(self, monkeypatch, caplog):
        caplog.set_level(logging.INFO, 'textxfer_mm')
        monkeypatch.setattr(
            CLIPTextEncoder, 'tower', lambda self: (_ for _ in ()).throw(NotAtHandError('no such file'))
        )
        assert KINDS['tower']().tower is None
        assert 'There is no text tower here' in caplog.text

    def test_weights_of_another_architecture_are_an_error(self, tmp_path):
        torch.save(CLIPTextEncoder(TINY_VIT).tower().model.state_dict(), tmp_path / 'small.pt')
        wide = {**TINY_VIT, 'text_cfg': {**TINY_VIT['text_cfg'], 'width': 128}}
        source = TextClassifier(NAMES, CLIPTextEncoder(wide, str(tmp_path / 'small.pt')))
        with pytest.raises(UserError, match='do not fit the architecture'):
            TowerRows(source)

    def test_chunks_give_the_same_rows_and_gradients(self):
        whole, chunked = KINDS['tower'](), TowerRows(text(), chunk_size=2)
        weights = torch.randn(K, D)
        for rows in (whole, chunked):
            (rows.training_rows() * weights).sum().backward()
        for (name, a), b in zip(whole.named_parameters(), chunked.parameters(), strict=True):
            torch.testing.assert_close(a.grad, b.grad, atol=1e-6, rtol=1e-4, msg=name)

    def test_an_encoding_that_was_stopped_leaves_the_modes(self, monkeypatch):
        rows = KINDS['tower']()
        rows.train()
        next(rows.tower.model.modules()).training = True
        resting = rows.tower.model.ln_final.eval()
        monkeypatch.setattr(tower_rows, 'encode_in_batches', lambda *a, **k: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            rows.fill()
        assert rows.tower.training
        assert not resting.training

    def test_a_first_use_encodes_all_classes_once(self, monkeypatch):
        calls, real = [], tower_rows.encode_in_batches
        monkeypatch.setattr(tower_rows, 'encode_in_batches', lambda *a, **k: calls.append(1) or real(*a, **k))
        rows = KINDS['tower']()
        rows.training_rows(torch.tensor([0, 1]))
        rows.training_rows()
        assert len(calls) == 1


class TestErrors:
    def test_sizes(self):
        with pytest.raises(UserError, match=r'num_classes=7, but the classifier has 3 class names \(waving, clapping'):
            ClassRows(text(), num_classes=7)

        class Absent:
            @property
            def class_names(self):
                raise NotAtHandError('labels.txt is missing')

            templates = encoder_id = embed_dims = class_names

        with pytest.raises(UserError, match=r'cannot be known here.* give embed_dims'):
            ClassRows(Absent())
        with pytest.raises(NotAtHandError, match=r'labels\.txt is missing'):
            ClassRows(Absent(), embed_dims=D, frozen=False)
        assert ClassRows(Absent(), embed_dims=D, num_classes=4).weight.shape == (4, D)
        held = ClassRows(FixedSource(NAMES, D))
        held.init_weights()
        with pytest.raises(UserError, match=r'num_classes=4, but the checkpoint has 3 class names \(waving, clapping'):
            ClassRows(Absent(), embed_dims=D, num_classes=4).load_state_dict(held.state_dict())

    @pytest.mark.parametrize('size', [0, -1, 2.0, '3'])
    def test_chunk_size(self, size):
        for make in (TowerRows, PromptRows):
            with pytest.raises(UserError, match='text_batch_size is None or a whole number of at least 1'):
                make(text(), chunk_size=size)


class TestSeveral:
    """One model over several datasets: rows by name, and names may hold any character."""

    NAMES = ('kinetics400', 'Something-Something v1.0', 'a/b', 'keys', 'forward', 'ünï.code', 'x%2Ey', 'x.y')

    def make(self):
        return NamedModules({name: ClassRows(FixedSource((name, 'other'), D)) for name in self.NAMES})

    def test_names_of_any_kind(self):
        modules = NamedModules(
            {name: ClassRows(FixedSource((name, 'other'), D, seed=i)) for i, name in enumerate(self.NAMES)}
        )
        for _, rows in modules.items():
            rows.init_weights()
        assert tuple(modules) == self.NAMES
        assert len(modules) == len(self.NAMES)
        assert all(name in modules for name in self.NAMES)
        assert 'nothing' not in modules
        for name in self.NAMES:
            assert modules[name].class_names == (name, 'other')
        found = stored_rows(modules.state_dict())
        assert [rows.class_names[0] for rows in found.values()] == list(self.NAMES)
        other = NamedModules(
            {name: ClassRows(FixedSource((name, 'other'), D, seed=i)) for i, name in enumerate(self.NAMES)}
        )
        other.load_state_dict(modules.state_dict(), strict=True)
        assert all(rows.source.builds == 0 and rows.is_filled for _, rows in other.items())

    def test_a_model_with_several(self):
        model = BaseModule()
        model.class_rows = self.make()
        model.init_weights()
        assert all(rows.is_filled for _, rows in model.class_rows.items())
        ema = ExponentialMovingAverage(model)
        assert set(ema.module.state_dict()) == set(model.state_dict())
        for name in self.NAMES:
            assert rows_of(model, name) is model.class_rows[name]
            assert class_names_of(model, dataset=name) == (name, 'other')
        with pytest.raises(UserError, match=r"several datasets: say which, dataset='kinetics400' or 'Something-Some"):
            rows_of(model)
        with pytest.raises(UserError, match=r"no class rows of 'kinetics40'.*Did you mean: kinetics400"):
            rows_of(model, 'kinetics40')

    @pytest.mark.parametrize('name', ['', None, 3])
    def test_no_name(self, name):
        with pytest.raises(UserError, match='names that are not empty'):
            NamedModules({name: nn.Identity()})

    def test_an_unknown_name(self):
        with pytest.raises(KeyError):
            NamedModules({'a': nn.Identity()})['b']


def test_rows_of_other_names_are_made_beside_those_there_are(kind):
    """They are those of class rows that were built for these names; moved by what moves the own ones."""
    rows, built = KINDS[kind](), ClassRows(text(['one', 'two']))
    rows.fill()
    before = rows.bundle()
    if kind == 'trained':
        assert not rows.takes_other_names
        with pytest.raises(UserError, match='cannot be made for other class names: they were trained for its own'):
            rows.make_for(['one', 'two'])
        return
    if kind in ('prompts', 'tower'):
        move(rows)
        before = rows.bundle()
        built = dict(prompts=PromptRows, tower=TowerRows)[kind](text(['one', 'two']))
        with torch.no_grad():
            for own, other in zip(built.moved_by(), rows.moved_by(), strict=True):
                own.copy_(other)
    made = rows.make_for(['one', 'two'])
    assert made.class_names == ('one', 'two')
    assert torch.allclose(made.weight, built.bundle().weight, atol=1e-6)
    assert rows.class_names == tuple(NAMES)
    assert torch.equal(rows.bundle().weight, before.weight)
    rows.replace(made)
    assert torch.allclose(rows.testing_rows(), made.weight, atol=1e-6)
    with pytest.raises(UserError):  # they cannot be told apart
        rows.make_for(['one', 'one'])


def test_rows_that_no_names_lead_to():
    with pytest.raises(UserError, match='cannot be made for other class names: they come from a FixedSource'):
        ClassRows(FixedSource()).make_for(['one', 'two'])
    specific = PromptRows(text(), class_specific=True)
    assert not specific.takes_other_names
    with pytest.raises(UserError, match='cannot be made for other class names'):
        specific.make_for(['one', 'two'])
