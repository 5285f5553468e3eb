"""``CaptionMatchingHead``: parity with a naive reference, where its weights start, and what it refuses."""

import copy
import math
import socket
import subprocess
import sys

import pytest
import torch
import torch.multiprocessing as mp
import torch.nn.functional as F
from captioned import CAPTIONS, NAMES, build_model, caption_sample, caption_step, caption_worker
from mmengine.runner.checkpoint import get_state_dict, load_state_dict
from tiny import TINY_VIT, FixedSource

from textxfer_mm.classifiers.sources import TextClassifier
from textxfer_mm.errors import UserError
from textxfer_mm.models.heads import CaptionMatchingHead, TextEmbeddingHead
from textxfer_mm.parts.captions import caption_number
from textxfer_mm.text.clip_encoder import CLIPTextEncoder

D = 32


def source(names=NAMES, pretrained=None):
    return TextClassifier(list(names), CLIPTextEncoder(TINY_VIT, pretrained), use_cache=False)


def make_head(**options):
    torch.manual_seed(0)
    head = CaptionMatchingHead(D, options.pop('classifier', None) or source(), **options)
    head.init_weights()
    return head


def samples(captions):
    return [caption_sample(caption) for caption in captions]


def naive_loss(videos, texts, captions, scale):
    """Cross-entropy in both directions, in loops; equal captions share the mass."""
    total = 0.0
    for rows, cols in ((videos, texts), (texts, videos)):
        for i, caption in enumerate(captions):
            terms = torch.stack([torch.exp(scale * F.cosine_similarity(rows[i], col, dim=0)) for col in cols])
            own = [j for j, other in enumerate(captions) if other == caption]
            total = total - sum((terms[j] / terms.sum()).log() for j in own) / len(own)
    return total / (2 * len(captions))


def tower_weights(head):
    return head.class_rows.tower.model.state_dict()


class TestParity:
    @pytest.mark.parametrize('chunk', [None, 2])
    def test_loss_and_gradients(self, chunk):
        head = make_head(init_scale=5.0, text_batch_size=chunk)
        feats = torch.randn(2 * len(CAPTIONS), D, 3, 1, 1, requires_grad=True)  # two rows a video
        names, leaves = zip(*[('feats', feats), *head.named_parameters()], strict=True)
        loss = head.loss(feats, samples(CAPTIONS))['loss_cls']
        grads = torch.autograd.grad(loss, leaves)
        videos = torch.stack([feats[2 * i : 2 * i + 2].mean((0, 2, 3, 4)) for i in range(len(CAPTIONS))])
        tower = head.class_rows.tower
        texts = torch.cat([tower(tower.tokenize([caption])) for caption in CAPTIONS])  # each alone
        naive = naive_loss(videos, texts, CAPTIONS, head.cosine.logit_scale.exp())
        torch.testing.assert_close(loss, naive, atol=1e-5, rtol=1e-5)
        for name, got, want in zip(names, grads, torch.autograd.grad(naive, leaves), strict=True):
            torch.testing.assert_close(got, want, atol=1e-5, rtol=1e-4, msg=name)
        assert sum('class_rows.tower' in name for name in names) > 20

    def test_with_different_captions_it_is_the_loss_of_clip(self):
        captions = ['a hat', 'a ball', 'a box']
        head, feats = make_head(), torch.randn(3, D)
        texts = F.normalize(head.class_rows.encode(captions), dim=1)
        logits = F.normalize(feats, dim=1) @ texts.t() / 0.07
        own = torch.arange(3)
        want = (F.cross_entropy(logits, own) + F.cross_entropy(logits.t(), own)) / 2
        torch.testing.assert_close(head.loss(feats, samples(captions))['loss_cls'], want, atol=1e-5, rtol=1e-5)

    def test_share_of_the_videos_that_find_their_caption(self):
        head = make_head()
        captions = ['a hat', 'a ball', 'a box', 'a hat']
        texts = head.class_rows.encode(['a hat', 'a ball', 'a hat', 'a hat']).detach()
        assert head.loss(texts, samples(captions))['match_acc'].item() == pytest.approx(3 / 4)

    def test_testing_is_zero_shot_by_the_class_names(self):
        head, feats = make_head(), torch.randn(3, D)
        rows = F.normalize(head.class_rows.encode([f'a video of a person {name}.' for name in NAMES]), dim=1)
        want = (100 * F.normalize(feats, dim=1) @ rows.t()).softmax(1)
        predicted = head.eval().predict(feats, samples(['a hat'] * 3))
        torch.testing.assert_close(torch.stack([x.pred_score for x in predicted]), want, atol=1e-4, rtol=1e-4)

    def test_bfloat16(self):
        head, feats = make_head(init_scale=5.0), torch.randn(len(CAPTIONS), D)
        want = head.loss(feats, samples(CAPTIONS))['loss_cls']
        with torch.autocast('cpu', dtype=torch.bfloat16):
            got = head.loss(feats.bfloat16(), samples(CAPTIONS))['loss_cls']
        assert got.dtype == torch.float32
        torch.testing.assert_close(got, want, atol=2e-2, rtol=2e-2)


class TestScale:
    def test_it_starts_at_that_of_clip_and_is_trained(self):
        scale = make_head().cosine.logit_scale
        assert scale.exp().item() == pytest.approx(1 / 0.07)
        assert scale.requires_grad

    def test_it_goes_no_further_than_100_and_comes_back(self):
        head = make_head()
        with torch.no_grad():
            head.cosine.logit_scale.fill_(10.0)
        assert head.cosine.scale(training=True).item() == pytest.approx(100.0, rel=1e-6)
        assert head.cosine.logit_scale.item() == pytest.approx(math.log(100.0))
        texts = head.class_rows.encode(['a hat', 'a ball']).detach()
        head.loss(texts[[1, 0]], samples(['a hat', 'a ball']))['loss_cls'].backward()  # all wrong: less would be better
        assert head.cosine.logit_scale.grad.item() > 0

    def test_testing_with_the_trained_scale_is_limited_too(self):
        head = make_head(test_scale=None)
        with torch.no_grad():
            head.cosine.logit_scale.fill_(10.0)
        assert head.cosine.scale(training=False).item() == pytest.approx(100.0, rel=1e-6)
        assert head.cosine.logit_scale.item() == 10.0

    def test_options_go_before(self):
        head = make_head(init_scale=200.0, max_scale=None)
        assert head.cosine.scale(training=True).item() == pytest.approx(200.0)
        limited = TextEmbeddingHead(D, FixedSource(), init_scale=2.0, max_scale=3.0)
        with torch.no_grad():
            limited.cosine.logit_scale.fill_(2.0)
        assert limited.cosine.scale(training=True).item() == pytest.approx(3.0)

    @pytest.mark.parametrize('limit', [2.0, -1.0, float('nan')])
    def test_a_limit_below_the_start(self, limit):
        with pytest.raises(UserError, match=rf'max_scale is None or at least init_scale \(14\.2857\), got {limit}'):
            make_head(max_scale=limit)


class TestStart:
    def test_random_weights_follow_the_seed(self):
        one, again, other = (build_model(seed) for seed in (1, 1, 2))
        towers = [tower_weights(model.cls_head) for model in (one, again, other)]
        assert all(torch.equal(towers[0][name], towers[1][name]) for name in towers[0])
        drawn = [name for name in towers[0] if towers[0][name].std() > 0]
        assert len(drawn) > 10
        assert not [name for name in drawn if torch.equal(towers[0][name], towers[2][name])]

    def test_a_checkpoint_wins(self):
        trained = build_model(1).cls_head
        for order in ('before', 'after'):
            torch.manual_seed(2)
            head = CaptionMatchingHead(D, trained.class_rows.source)
            if order == 'after':
                head.init_weights()
            load_state_dict(head, copy.deepcopy(get_state_dict(trained)), strict=True)
            head.init_weights()
            for name, weight in tower_weights(head).items():
                torch.testing.assert_close(weight, tower_weights(trained)[name], atol=0, rtol=0, msg=f'{order}, {name}')

    def test_a_checkpoint_of_other_classes_wins_too(self):
        trained = build_model(1).cls_head
        head = CaptionMatchingHead(D, source(('sitting', 'lying')))
        load_state_dict(head, copy.deepcopy(get_state_dict(trained)), strict=True)
        head.init_weights()
        assert torch.equal(tower_weights(head)['text_projection'], tower_weights(trained)['text_projection'])

    def test_initialising_again_changes_nothing(self):
        head = make_head()
        before = copy.deepcopy(tower_weights(head))
        head.class_rows.init_weights()
        assert all(torch.equal(before[name], weight) for name, weight in tower_weights(head).items())

    def test_pretrained_weights_stay(self, tmp_path):
        state = CLIPTextEncoder(TINY_VIT).tower().model.state_dict()
        state = {name: torch.randn_like(weight) for name, weight in state.items()}
        torch.save(state, tmp_path / 'text.pt')
        head = make_head(classifier=source(pretrained=str(tmp_path / 'text.pt')))
        assert all(torch.equal(state[name], weight) for name, weight in tower_weights(head).items())

    def test_the_rows_are_those_of_the_drawn_tower(self):
        head = build_model(3).cls_head
        rows = F.normalize(head.class_rows.encode([f'a video of a person {name}.' for name in NAMES]), dim=1)
        torch.testing.assert_close(head.class_rows.weight, rows.detach(), atol=1e-5, rtol=1e-5)


def test_the_number_of_a_caption_is_the_same_in_every_process():
    code = 'from textxfer_mm.parts.captions import caption_number as n; print(n("a héron"), n("b"))'
    told = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True, timeout=120).stdout
    assert told.split()[-2:] == [str(caption_number('a héron')), str(caption_number('b'))]
    torch.tensor([caption_number(f'caption {i}') for i in range(100)])  # 64 bits with a sign


class TestErrors:
    @pytest.mark.parametrize(
        ('caption', 'message'),
        [
            (
                None,
                r"clip7\.mp4 has none: the dataset must give `caption`.*PackActionInputs\(meta_keys=\('caption',\)\)",
            ),
            (3, r'one text as the caption of a sample; clip7\.mp4 has 3, a int'),
            (['a', 'b'], r"clip7\.mp4 has \['a', 'b'\], a list"),
            (b'a hat', r"clip7\.mp4 has b'a hat', a bytes"),
            ('', r"The caption of clip7\.mp4 is empty \(''\)"),
            (' \n', r"The caption of clip7\.mp4 is empty \(' \\n'\)"),
            ('a \udce9ron', r'The caption of clip7\.mp4 is no UTF-8'),
            ('word ' * 80, r"at most 77 tokens; longer prompts .*'word .*' \(82\)\. .*long_captions='shorten'"),
        ],
    )
    def test_captions(self, caption, message):
        wrong = caption_sample(caption)
        wrong.set_metainfo(dict(filename='clip7.mp4'))
        with pytest.raises(UserError, match=message):
            make_head().loss(torch.randn(2, D), [caption_sample('a hat'), wrong])

    def test_long_captions_may_be_shortened(self):
        long, feats = ['word ' * 80, 'a hat'], torch.randn(2, D)
        got = make_head(long_captions='shorten').loss(feats, samples(long))
        torch.testing.assert_close(got, make_head().loss(feats, samples(['word ' * 74 + 'word', 'a hat'])))

    @pytest.mark.parametrize('captions', [['a hat'], ['a hat'] * 3])
    def test_one_caption_in_the_batch(self, captions):
        told = f'All {len(captions)} videos of this batch have one and the same caption: there is nothing to match.*'
        with pytest.raises(UserError, match=told + 'needs batches of several captions: a larger batch_size'):
            make_head().loss(torch.randn(len(captions), D), samples(captions))

    @pytest.mark.parametrize(
        ('options', 'message'),
        [
            (dict(matching_loss='nce'), r"Unknown matching_loss='nce' of CaptionMatchingHead\. Did you mean: ce\?"),
            (
                dict(label_smooth_eps=0.1),
                'takes no label_smooth_eps: its loss is the matching loss',
            ),
            (dict(multi_class=True), 'CaptionMatchingHead takes no multi_class'),
            (dict(topk=(1,)), 'CaptionMatchingHead takes no topk: training logs match_acc'),
            (dict(text_batch_size=0), 'text_batch_size is None or a whole number of at least 1, got 0'),
            (dict(classifier=FixedSource(NAMES, D)), 'FixedSource has none. Use a TextClassifier'),
        ],
    )
    def test_options(self, options, message):
        with pytest.raises(UserError, match=message):
            make_head(**options)


def test_two_processes_equal_one(tmp_path):
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        port = s.getsockname()[1]
    mp.spawn(caption_worker, args=(port, tmp_path / 'two.pt'), nprocs=2)
    two = torch.load(tmp_path / 'two.pt', weights_only=True)
    model = build_model(init_scale=5.0).eval()
    loss = caption_step(model, range(len(CAPTIONS)))
    assert two['loss'].item() == pytest.approx(loss.item(), abs=1e-5)
    grads = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    assert grads.keys() == two['grads'].keys()
    for part in ('backbone.visual.', 'cls_head.class_rows.tower.', 'cls_head.cosine.logit_scale'):
        assert any(name.startswith(part) for name in grads)
    for name, grad in grads.items():
        scale = max(grad.abs().max().item(), 1.0)
        assert (two['grads'][name] - grad).abs().max().item() <= 1e-5 * scale, name
