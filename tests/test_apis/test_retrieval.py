"""Retrieval with whole models: items of several captions, entries of one file, frozen and trained text encoders."""

import pytest
import torch
from captioned import build_model
from mmengine.dataset import BaseDataset
from mmengine.registry import DATASETS
from tiny import TINY_RESNET, TINY_VIT, FixedSource
from unified_model import build_unified

from textxfer_mm.apis import evaluate_retrieval
from textxfer_mm.errors import UserError
from textxfer_mm.evaluation.retrieval import retrieval_recalls
from textxfer_mm.registry import MODELS

CAPTIONS = [['a red hat'], ['a ball', 'a ball in the park'], ['somebody lifts a box', 'a box'], ['a dog'], ['a cat']]


@DATASETS.register_module()
class CaptionedNoiseFiles(BaseDataset):
    """Stills of noise, several entries a file; test doubles register themselves."""

    def __init__(self, entries):
        self.entries = entries
        super().__init__(ann_file='', pipeline=[])

    def load_data_list(self):
        return [dict(entry) for entry in self.entries]

    def prepare_data(self, idx):
        info = self.get_data_info(idx)
        if info['filename'] == 'broken':
            raise ValueError('no frames')
        seed = torch.Generator().manual_seed(hash(info['filename']) % 1000)
        from mmaction.structures import ActionDataSample

        pixels = torch.randint(0, 255, (2, 3, 1, 32, 32), generator=seed, dtype=torch.uint8)  # two views
        return dict(inputs=pixels, data_samples=ActionDataSample())


def loader(entries):
    return dict(batch_size=2, num_workers=0, dataset=dict(type='CaptionedNoiseFiles', entries=entries))


def expected(model, encode):
    """Each item alone, each caption alone."""
    items = []
    for number in range(len(CAPTIONS)):
        data = DATASETS.build(loader([dict(filename=f'{number}.mp4', caption='x')])['dataset']).prepare_data(0)
        inputs = model.data_preprocessor(dict(inputs=[data['inputs']], data_samples=[data['data_samples']]))['inputs']
        with torch.no_grad():
            items.append(model.cls_head.embed(model.extract_feat(inputs)[0]).mean(0))
    texts = [encode(text) for texts in CAPTIONS for text in texts]
    owners = torch.tensor([item for item, texts in enumerate(CAPTIONS) for _ in texts])
    return retrieval_recalls(torch.stack(items), torch.stack(texts), owners)


@pytest.mark.parametrize('kind', ['unified', 'captions', 'frozen'])
def test_recalls_of_a_model(kind):
    if kind == 'frozen':
        encoder = dict(type='CLIPTextEncoder', arch=TINY_VIT)
        classifier = dict(type='TextClassifier', class_names=['a', 'b'], encoder=encoder, use_cache=False)
        parts = dict(
            backbone=dict(type='CLIPBackbone', arch=TINY_VIT),
            cls_head=dict(type='TextEmbeddingHead', in_channels=32, classifier=classifier),
            data_preprocessor=dict(type='ActionDataPreprocessor', mean=[120.0] * 3, std=[60.0] * 3),
        )
        model = MODELS.build(dict(type='Recognizer3D', **parts))
    else:
        model = build_unified(arch=TINY_RESNET) if kind == 'unified' else build_model()
    entries = [dict(filename=f'{number}.mp4', caption=text) for number, texts in enumerate(CAPTIONS) for text in texts]
    entries[1:3] = [dict(filename='1.mp4', text=CAPTIONS[1])]  # several in one entry, under the other key
    broken = dict(filename='broken', caption='never seen')
    found = evaluate_retrieval(model, loader([broken, *entries]))
    assert (found.items, found.captions, found.skipped) == (5, 7, {'broken': 'no frames'})
    rows = model.cls_head.class_rows
    if kind == 'frozen':
        want = expected(model, lambda text: rows.source.encoder.encode([text])[0])
    else:
        want = expected(model, lambda text: rows.encode([text])[0].detach())
    assert found.recalls == want
    assert set(found.recalls) == {'text_to_item_r1', 'item_to_text_r1', 'item_to_text_r5'}
    assert not model.training


@pytest.mark.parametrize('caption', [None, '', [], ['a', ' '], 3, [3]])
def test_an_entry_without_a_caption(caption):
    entries = [dict(filename='a.mp4', caption='x'), dict(filename='b.mp4', caption=caption)]
    with pytest.raises(UserError, match=r'needs a caption of each entry \(caption or text.*b\.mp4 has '):
        evaluate_retrieval(build_model(), loader(entries))


def test_a_head_without_a_text_encoder():
    head = dict(type='TextEmbeddingHead', in_channels=32, classifier=FixedSource())
    model = MODELS.build(dict(type='Recognizer3D', backbone=dict(type='CLIPBackbone', arch=TINY_VIT), cls_head=head))
    with pytest.raises(UserError, match='the head TextEmbeddingHead of this Recognizer3D has no text encoder'):
        evaluate_retrieval(model, loader([dict(filename='a.mp4', caption='x')]))


def test_a_list_without_entries():
    with pytest.raises(UserError, match=r'The list of videos .* is empty'):
        evaluate_retrieval(build_unified(), loader([]))


def test_a_constant_model_finds_nothing():
    model = build_unified()
    with torch.no_grad():
        model.backbone.visual.proj.zero_()
        model.cls_head.class_rows.tower.model.text_projection.zero_()
    entries = [dict(filename=f'{number}.mp4', caption=texts) for number, texts in enumerate(CAPTIONS)]
    found = evaluate_retrieval(model, loader(entries))
    assert {name: measure.value for name, measure in found.recalls.items()} == dict.fromkeys(found.recalls, 0.0)
