import pytest
import torch
from tiny import TINY_VIT
from torch import nn

from textxfer_mm.errors import UserError
from textxfer_mm.vision import PACKAGED_ARCH, input_cfg, preprocessor_cfg

OPENAI_MEAN = [122.7709383, 116.7460125, 104.09373615]


@pytest.mark.parametrize(
    ('arch', 'pretrained', 'mean', 'std'),
    [
        ('ViT-B-16-quickgelu', 'openai', OPENAI_MEAN, 68.5005327),
        ('RN50-quickgelu', 'openai', OPENAI_MEAN, 68.5005327),
        ('ViT-L-14', 'laion2b_s32b_b82k', [127.5] * 3, 127.5),
        ('ViT-B-16-SigLIP', 'webli', [127.5] * 3, 127.5),
        ('MobileCLIP-S1', 'datacompdr', [0.0] * 3, 255.0),
        ('ViT-B-32', None, OPENAI_MEAN, 68.5005327),  # all tags agree
        (PACKAGED_ARCH, 'packaged', [127.5] * 3, 127.5),
    ],
)
def test_from_the_tag(arch, pretrained, mean, std):
    cfg = preprocessor_cfg(arch, pretrained)
    assert cfg['mean'] == pytest.approx(mean)
    assert cfg['std'][0] == pytest.approx(std)
    assert set(cfg) == {'mean', 'std'}


def test_from_the_model_config():
    arch = {**TINY_VIT, 'preprocess_cfg': dict(mean=[0.1, 0.2, 0.3], std=[0.5, 0.5, 0.5], interpolation='bilinear')}
    assert preprocessor_cfg(arch)['mean'] == pytest.approx([25.5, 51.0, 76.5])
    assert input_cfg(arch) == dict(size=(32, 32), interpolation='bilinear', resize_mode='shortest')


def test_input_of_a_tag():
    assert input_cfg('ViT-B-16-SigLIP-256', 'webli') == dict(
        size=(256, 256), interpolation='bicubic', resize_mode='squash'
    )


def test_local_files(tmp_path):
    torch.save({}, tmp_path / 'plain.pt')
    torch.jit.script(nn.Identity()).save(str(tmp_path / 'openai.pt'))
    assert preprocessor_cfg('ViT-B-16', tmp_path / 'plain.pt')['mean'] == pytest.approx(OPENAI_MEAN)
    assert preprocessor_cfg('ViT-L-14', tmp_path / 'openai.pt')['mean'] == pytest.approx(OPENAI_MEAN)
    with pytest.raises(UserError, match=r'plain.pt of ViT-L-14 want cannot be known \(its tags differ in it\)'):
        preprocessor_cfg('ViT-L-14', tmp_path / 'plain.pt')


def test_never_guessed():
    with pytest.raises(UserError, match=r'random weights of custom-.* \(it has no tags to tell\).*preprocess_cfg'):
        preprocessor_cfg(TINY_VIT)
    with pytest.raises(UserError, match='needs std as three numbers between 0 and 1'):
        preprocessor_cfg({**TINY_VIT, 'preprocess_cfg': dict(mean=[0.5] * 3, std=[58.4, 57.1, 57.4])})
    with pytest.raises(UserError, match='needs mean'):
        preprocessor_cfg({**TINY_VIT, 'preprocess_cfg': dict(std=[0.5] * 3)})


def test_backbone_takes_a_config_with_preprocess_cfg():
    from textxfer_mm.models.backbones import CLIPBackbone

    arch = {**TINY_VIT, 'preprocess_cfg': dict(mean=[0.5] * 3, std=[0.5] * 3)}
    assert CLIPBackbone(arch).embed_dims == 32
