"""``UnifiedContrastiveHead``: parity with naive references, many classes, ranks, zero-shot, and what it refuses."""

import copy
import logging
import socket

import pytest
import torch
import torch.multiprocessing as mp
import torch.nn.functional as F
from mmengine.runner import Runner
from mmengine.runner.checkpoint import get_state_dict, load_state_dict
from tiny import TINY_VIT, FixedSource
from unified_model import (
    JOINT,
    NAMES,
    RANKS,
    MixedNoise,
    build_unified,
    unified_model,
    unified_sample,
    unified_step,
    unified_worker,
)

from textxfer_mm.classifiers.sources import TextClassifier
from textxfer_mm.engine.clip_export import exported_arch
from textxfer_mm.errors import UserError
from textxfer_mm.models.heads import UnifiedContrastiveHead
from textxfer_mm.text.clip_encoder import CLIPTextEncoder

D, TEMPLATES = 32, ('{}', 'a video of {}')
WHOLE = range(len(JOINT))
#: How the text tower is moved away from its start, at which the rows of all names are alike.
SPREAD = 0.05


def make_head(names=NAMES, init_scale=5.0, **options):
    torch.manual_seed(0)
    source = TextClassifier(list(names), CLIPTextEncoder(TINY_VIT, None), templates=TEMPLATES, use_cache=False)
    head = UnifiedContrastiveHead(D, source, init_scale=init_scale, **options)
    head.init_weights()
    with torch.no_grad():
        for parameter in head.class_rows.tower.parameters():
            parameter.add_(SPREAD * torch.randn_like(parameter))
    return head


def samples(rows=WHOLE):
    return [unified_sample(**JOINT[i]) for i in rows]


def naive_rows(head, names=NAMES):
    """Each prompt encoded alone, normalised and averaged over the templates."""
    tower = head.class_rows.tower
    encode = lambda text: F.normalize(tower(tower.tokenize([text]))[0], dim=0)  # noqa: E731
    return torch.stack([sum(encode(template.format(name)) for template in TEMPLATES) / 2 for name in names])


def naive_losses(head, videos, rows, batch=JOINT):
    """L_cls over all classes and L_con both ways, in loops; equal captions share the mass."""
    tower, scale = head.class_rows.tower, head.cosine.logit_scale.exp()
    cos = lambda x, y: F.cosine_similarity(x, y, dim=0)  # noqa: E731
    of_classes, pairs = [], []
    for video, facts in zip(videos, batch, strict=True):
        if 'label' in facts:
            terms = torch.stack([torch.exp(scale * cos(video, row)) for row in rows])
            of_classes.append(-(terms[facts['label']] / terms.sum()).log())
        if 'caption' in facts:
            pairs.append((video, tower(tower.tokenize([facts['caption']]))[0], facts['caption']))
    of_captions = []
    for this, other in ((0, 1), (1, 0)):
        for pair in pairs:
            terms = torch.stack([torch.exp(scale * cos(pair[this], one[other])) for one in pairs])
            own = [j for j, one in enumerate(pairs) if one[2] == pair[2]]
            of_captions.append(-sum((terms[j] / terms.sum()).log() for j in own) / len(own))
    mean = lambda x: sum(x) / len(x) if x else torch.zeros(())  # noqa: E731
    return mean(of_classes), mean(of_captions)


def gradients(loss, head, feats):
    return torch.autograd.grad(loss, [feats, *head.parameters()], allow_unused=True, materialize_grads=True)


def compare(head, feats, got, want, tolerance=1e-5):
    torch.testing.assert_close(got, want, atol=tolerance, rtol=tolerance)
    names = ['feats', *(name for name, _ in head.named_parameters())]
    pairs = zip(names, gradients(got, head, feats), gradients(want, head, feats), strict=True)
    for name, one, other in pairs:
        torch.testing.assert_close(one, other, atol=tolerance, rtol=10 * tolerance, msg=name)


class TestParity:
    @pytest.mark.parametrize('chunk', [None, 2])
    def test_losses_and_gradients(self, chunk):
        head = make_head(text_batch_size=chunk, objective=dict(cls_weight=0.5, con_weight=2.0))
        feats = torch.randn(2 * len(JOINT), D, 1, 1, 1, requires_grad=True)  # two rows a video
        found = head.loss(feats, samples())
        videos = feats.flatten(1).unflatten(0, (-1, 2)).mean(1)
        of_classes, of_captions = naive_losses(head, videos, naive_rows(head))
        torch.testing.assert_close(found['loss_cls'], 0.5 * of_classes, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(found['loss_con'], 2 * of_captions, atol=1e-5, rtol=1e-5)
        compare(head, feats, found['loss_cls'] + found['loss_con'], 0.5 * of_classes + 2 * of_captions)

    def test_a_sample_with_both_is_in_both_and_text_is_a_caption(self):
        head, feats = make_head(), torch.randn(3, D)
        batch = [dict(label=2, caption='a red hat'), dict(text='a dog'), dict(label=0)]
        found = head.loss(feats, [unified_sample(**facts) for facts in batch])
        batch[1] = dict(caption='a dog')
        want = naive_losses(head, feats, naive_rows(head), batch)
        torch.testing.assert_close((found['loss_cls'], found['loss_con']), want, atol=1e-5, rtol=1e-5)

    def test_unicl(self):
        """Pairs of image and text; those of one class, or of one caption, are positives of each other."""
        head, feats = make_head(objective=dict(form='unicl')), torch.randn(len(JOINT), D, requires_grad=True)
        tower, rows = head.class_rows.tower, naive_rows(head)
        texts, labels = [], []
        for facts in JOINT:
            labels.append(facts.get('label', facts.get('caption')))
            own = rows[facts['label']] if 'label' in facts else tower(tower.tokenize([facts['caption']]))[0]
            texts.append(own)
        logits = head.cosine.logit_scale.exp() * F.normalize(feats, dim=1) @ F.normalize(torch.stack(texts), dim=1).t()
        want = 0.0
        for scores in (logits, logits.t()):
            for i, label in enumerate(labels):
                own = [j for j, other in enumerate(labels) if other == label]
                want = want - scores[i].log_softmax(0)[own].mean() / (2 * len(labels))
        found = head.loss(feats, samples())
        assert set(found) == {'loss_unicl', 'match_acc'}
        compare(head, feats, found['loss_unicl'], want)

    def test_equal_captions_as_negatives(self):
        head, feats = make_head(objective=dict(equal_captions='negatives')), torch.randn(5, D)
        tower = head.class_rows.tower
        texts = torch.cat([tower(tower.tokenize([facts['caption']])) for facts in JOINT[6:]])
        logits = 5.0 * F.normalize(feats, dim=1) @ F.normalize(texts, dim=1).t()
        want = (F.cross_entropy(logits, torch.arange(5)) + F.cross_entropy(logits.t(), torch.arange(5))) / 2
        torch.testing.assert_close(head.loss(feats, samples(range(6, 11)))['loss_con'], want, atol=1e-5, rtol=1e-5)

    @pytest.mark.parametrize('form', ['iclip', 'unicl'])
    def test_long_captions_are_shortened_where_that_is_asked_for(self, form, caplog):
        """Behind the last word that is read; where one word is too long, within it. What is read alike is equal."""
        long, word = 'word ' * 75, 'qx' * 150
        read = [*(f'{long}word, {end}' for end in ('again', 'once more')), 'a dog', word, word]
        head, plain = (make_head(objective=dict(form=form, **more)) for more in (dict(long_captions='shorten'), {}))
        tower, feats = plain.class_rows.tower, torch.randn(6, D)
        letters = next(n for n in range(300, 0, -1) if tower.count_tokens([word[:n]])[0] <= 77)
        assert 20 < letters < 300
        kept = ['word ' * 74 + 'word'] * 2 + ['a dog'] + [word[:letters]] * 2
        with pytest.raises(UserError, match='reads at most 77 tokens'):
            tower.tokenize(['word ' * 75 + 'word'])
        with caplog.at_level(logging.WARNING):
            got, want = (
                one.loss(feats, [unified_sample(label=1), *(unified_sample(caption=text) for text in texts)])
                for one, texts in ((head, read), (plain, kept))
            )
        torch.testing.assert_close(got, want)
        (told,) = (record.getMessage() for record in caplog.records if 'is shortened' in record.getMessage())
        assert 'has 80 tokens' in told
        assert 'reads 77: it is shortened' in told

    def test_bfloat16(self):
        head, feats = make_head(), torch.randn(len(JOINT), D)
        want = head.loss(feats, samples())
        with torch.autocast('cpu', dtype=torch.bfloat16):
            got = head.loss(feats.bfloat16(), samples())
        for name in ('loss_cls', 'loss_con'):
            assert got[name].dtype == torch.float32
            torch.testing.assert_close(got[name], want[name], atol=2e-2, rtol=2e-2)

    def test_accuracies_of_both_kinds(self):
        head = make_head(topk=(1, 2))
        with torch.no_grad():
            rows, texts = naive_rows(head), head.class_rows.encode(['a red hat', 'a dog'])
        feats = torch.stack([rows[1], rows[2], texts[0], texts[0]])
        batch = [dict(label=1), dict(label=4), dict(caption='a red hat'), dict(caption='a dog')]
        found = head.loss(feats, [unified_sample(**facts) for facts in batch])
        assert found['top1_acc'].item() == 0.5
        assert found['match_acc'].item() == 0.5
        assert 'match_acc' not in head.loss(feats[:2], [unified_sample(**facts) for facts in batch[:2]])
        assert 'top1_acc' not in head.loss(feats[2:], [unified_sample(**facts) for facts in batch[2:]])


@pytest.mark.parametrize('form', ['iclip', 'unicl'])
@pytest.mark.parametrize('rows', [range(6), range(6, 11), range(6, 7), range(1)])
def test_batches_of_one_kind_give_every_parameter_a_finite_gradient(form, rows):
    head = make_head(objective=dict(form=form))
    feats = torch.randn(len(rows), D, requires_grad=True)
    losses = {name: x for name, x in head.loss(feats, samples(rows)).items() if name.startswith('loss')}
    sum(losses.values()).backward()
    assert torch.isfinite(torch.stack(list(losses.values()))).all()
    for name, parameter in head.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
    alone = 'loss_con' if rows[0] == 0 else 'loss_cls'
    assert form == 'unicl' or losses[alone] == 0


class TestManyClasses:
    def test_with_all_others_as_negatives_it_is_exact(self):
        head, exact = (make_head(objective=dict(num_negatives=n)) for n in (4, None))
        feats = torch.randn(len(JOINT), D)
        torch.testing.assert_close(head.loss(feats, samples())['loss_cls'], exact.loss(feats, samples())['loss_cls'])

    def test_negatives_are_drawn_anew_and_the_classes_of_the_batch_always_there(self):
        names = [f'the action {index}' for index in range(12)]
        head = make_head(names, objective=dict(num_negatives=3, negative_seed=5))
        feats = torch.randn(2, D)
        batch = [unified_sample(label=label) for label in (7, 2)]
        rows, scale = naive_rows(head, names), 5.0
        logits = scale * F.normalize(feats, dim=1) @ F.normalize(rows, dim=1).t()
        seen = set()
        for step in range(4):
            head.objective.classes._step._count = step
            with_classes = head.objective.classes._drawn(torch.tensor([2, 7]), 12, step)
            assert {2, 7} < set(with_classes.tolist())
            assert len(set(with_classes.tolist())) == 5
            seen.add(tuple(with_classes.tolist()))
            among = torch.full((12,), -torch.inf).index_fill(0, with_classes, 0.0)
            want = F.cross_entropy(logits + among, torch.tensor([7, 2]))
            found = head.loss(feats, batch)
            torch.testing.assert_close(found['loss_cls'], want, atol=1e-5, rtol=1e-5)
            assert 'top1_acc' not in found
        assert len(seen) > 2

    def test_kept_rows_are_old_but_for_those_of_the_batch(self):
        head = make_head(objective=dict(refresh_interval=3))
        feats, batch = torch.randn(2, D), [unified_sample(label=label) for label in (1, 4)]
        before = naive_rows(head).detach()
        for step in range(4):
            head.zero_grad()
            now = naive_rows(head)
            rows = (now.detach() if step == 3 else before).clone()  # encoded anew in the fourth step
            rows = rows.index_copy(0, torch.tensor([1, 4]), now[[1, 4]])
            want = F.cross_entropy(5.0 * F.normalize(feats, dim=1) @ F.normalize(rows, dim=1).t(), torch.tensor([1, 4]))
            loss = head.loss(feats, batch)['loss_cls']
            torch.testing.assert_close(loss, want, atol=1e-5, rtol=1e-5)
            tower = list(head.class_rows.tower.parameters())
            for one, other in zip(torch.autograd.grad(loss, tower), torch.autograd.grad(want, tower), strict=True):
                torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)
            with torch.no_grad():
                for parameter in tower:
                    parameter.add_(0.02 * torch.randn_like(parameter))

    def test_the_activations_are_those_of_one_chunk(self):
        """What autograd keeps of 40 classes is less in chunks than all at once, by their number."""
        names, kept = [f'the action {index}' for index in range(40)], {}
        for chunk in (None, 4):
            head, total = make_head(names, text_batch_size=chunk), 0

            def pack(x):
                nonlocal total
                total += x.numel()
                return x

            with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
                head.loss(torch.randn(2, D), [unified_sample(label=0), unified_sample(label=3)])
            kept[chunk] = total
        assert kept[4] < kept[None] / 20


class TestTesting:
    def test_zero_shot_by_other_names_through_a_checkpoint(self):
        trained = make_head()
        other = make_head(('sitting', 'lying down'))
        load_state_dict(other, copy.deepcopy(get_state_dict(trained)), strict=True)
        feats = torch.randn(3, D)
        for head, names in ((trained, NAMES), (other, ('sitting', 'lying down'))):
            want = (100 * F.normalize(feats, dim=1) @ F.normalize(naive_rows(trained, names), dim=1).t()).softmax(1)
            predicted = head.eval().predict(feats, [unified_sample(label=0) for _ in feats])
            got = torch.stack([sample.pred_score for sample in predicted])
            torch.testing.assert_close(got, want, atol=1e-4, rtol=1e-4)

    def test_a_run_trains_validates_saves_and_is_tested_again(self, tmp_path):
        loader = dict(batch_size=4, num_workers=0, collate_fn=dict(type='pseudo_collate'))
        shuffled, ordered = (dict(type='DefaultSampler', shuffle=shuffle) for shuffle in (True, False))
        settings = dict(
            work_dir=str(tmp_path),
            test_dataloader=dict(loader, dataset=MixedNoise(mixed=False), sampler=ordered),
            test_cfg=dict(),
            test_evaluator=dict(type='AccMetric'),
            default_scope='mmaction',
            randomness=dict(seed=1),
        )
        runner = Runner(
            model=unified_model(init_scale=5.0),
            train_dataloader=dict(loader, dataset=MixedNoise(), sampler=shuffled),
            train_cfg=dict(by_epoch=True, max_epochs=2),
            optim_wrapper=dict(optimizer=dict(type='AdamW', lr=1e-3)),
            experiment_name='unified',
            **settings,
        )
        runner.train()
        found = runner.test()
        log = next(tmp_path.glob('*/vis_data/scalars.json')).read_text()
        assert all(name in log for name in ('"loss_cls"', '"loss_con"', '"match_acc"', '"top1_acc"'))
        again = Runner(
            model=unified_model(init_scale=5.0),
            load_from=str(tmp_path / 'epoch_2.pth'),
            experiment_name='again',
            **settings,
        )
        assert again.test() == found
        rows = [run.model.cls_head.class_rows.weight for run in (runner, again)]
        torch.testing.assert_close(*rows)

    def test_it_is_saved_as_a_clip_of_open_clip(self):
        assert exported_arch(build_unified())['embed_dim'] == D


class TestErrors:
    @pytest.mark.parametrize(
        ('sample', 'message'),
        [
            (
                unified_sample(),
                r'trains on labels and captions, and a sample has neither: .* `label`, or one of caption',
            ),
            (unified_sample(label=9), r'Label 9 is out of range: the head has 5 classes, 0 to 4'),
            (unified_sample(label=-1), r'Label -1 is out of range'),
            (unified_sample(label=torch.tensor([0.5, 0.5, 0, 0, 0])), r'needs one class a video.*shape \(5,\)'),
            (unified_sample(label=1, caption=' '), r'The caption of a sample is empty'),
            (unified_sample(text=3), r'takes one text as the caption of a sample; a sample has 3, a int'),
            (unified_sample(caption='word ' * 80), r'reads at most 77 tokens'),
        ],
    )
    def test_samples(self, sample, message):
        with pytest.raises(UserError, match=message):
            make_head().loss(torch.randn(2, D), [unified_sample(label=0), sample])

    @pytest.mark.parametrize(
        ('objective', 'message'),
        [
            (dict(form='icilp'), r"Unknown form='icilp' of the objective\. Did you mean: iclip"),
            (dict(cls_wieght=1), r"objective 'UnifiedObjective' takes no argument 'cls_wieght'.*cls_weight"),
            (dict(cls_weight=0, con_weight=0.0), 'not both 0; got 0 and 0.0'),
            (dict(con_weight=-1), 'numbers of at least 0.*got 1.0 and -1'),
            (dict(cls_weight=float('nan')), 'got nan'),
            (dict(equal_captions='both'), "Unknown equal_captions='both'"),
            (dict(long_captions='cut'), r"Unknown long_captions='cut'\. Known: refuse, shorten"),
            (dict(negative_seed=3), r'negative_seed=3 has no effect without num_negatives'),
            (dict(num_negatives=-1), 'num_negatives is None or a whole number of at least 0, got -1'),
            (dict(num_negatives=0.5), 'got 0.5'),
            (dict(refresh_interval=0), 'refresh_interval is None or a whole number of at least 1, got 0'),
            (dict(num_negatives=1, negative_seed=-1), 'negative_seed is a whole number of at least 0, got -1'),
            (dict(form='unicl', con_weight=2.0), "form='unicl' has one loss.*leave out"),
            (dict(form='unicl', shard_classes=True), "form='unicl' has one loss"),
            ('unicl', r"An? objective is given as dict\(type=..., ...\), got 'unicl'"),
        ],
    )
    def test_objective(self, objective, message):
        with pytest.raises(UserError, match=message):
            make_head(objective=objective)

    @pytest.mark.parametrize(
        ('options', 'message'),
        [
            (dict(label_smooth_eps=0.1), 'UnifiedContrastiveHead takes no label_smooth_eps: its losses are those of'),
            (dict(init_bias=0.0), 'takes no init_bias: .* without a bias'),
            (dict(text_batch_size=0), 'text_batch_size is None or a whole number'),
            (dict(classifier=FixedSource(NAMES, D)), 'FixedSource has none. Use a TextClassifier'),
        ],
    )
    def test_options(self, options, message):
        source = TextClassifier(list(NAMES), CLIPTextEncoder(TINY_VIT, None), use_cache=False)
        with pytest.raises(UserError, match=message):
            UnifiedContrastiveHead(D, **dict(classifier=source) | options)


@pytest.fixture(scope='module')
def two(tmp_path_factory):
    """What two ranks saw."""
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        port = s.getsockname()[1]
    path = tmp_path_factory.mktemp('two') / 'two.pt'
    mp.spawn(unified_worker, args=(port, path), nprocs=2)
    return torch.load(path, weights_only=True)


@pytest.mark.parametrize('case', RANKS)
def test_two_processes_equal_one(two, case):
    """Also where classes are sharded and encoded some at a time: one process does it all at once."""
    head, *rows = RANKS[case]
    options = {name: value for name, value in head.get('objective', {}).items() if name != 'shard_classes'}
    model = build_unified(objective=options, names=head.get('names', NAMES))
    joint = sorted([*rows[0], *rows[1]])
    unified_step(model, joint)
    losses, grads = unified_step(model, joint)
    for rank in range(2):  # both know the losses of the joint batch
        torch.testing.assert_close(two[case]['losses'][rank], losses, atol=1e-6, rtol=1e-6)
    assert grads.keys() == two[case]['grads'].keys()
    for part in ('backbone.visual.', 'cls_head.class_rows.tower.', 'cls_head.cosine.logit_scale'):
        assert any(name.startswith(part) and grad.abs().max() > 1e-3 for name, grad in grads.items())
    for name, grad in grads.items():
        scale = max(grad.abs().max().item(), 1.0)
        assert (two[case]['grads'][name] - grad).abs().max().item() <= 1e-6 * scale, name
