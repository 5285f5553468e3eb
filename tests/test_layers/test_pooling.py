"""What reaches a head, reduced to one row a clip: values."""

import pytest
import torch
from mmaction.models.heads import SlowFastHead

from textxfer_mm.layers.pooling import pool_features


def test_concatenation_is_in_the_order_of_the_stock_head():
    """Fast before slow: weights of SlowFastHead and statistics of its features stay usable."""
    slow, fast = torch.randn(2, 5, 2, 3, 3), torch.randn(2, 3, 4, 3, 3)
    stock = SlowFastHead(num_classes=8, in_channels=8, dropout_ratio=0.0)
    torch.nn.init.eye_(stock.fc_cls.weight)
    torch.nn.init.zeros_(stock.fc_cls.bias)
    rows = pool_features((slow, fast), 'concat')
    torch.testing.assert_close(rows, stock((slow, fast)))
    torch.testing.assert_close(rows[:, :3], fast.mean((2, 3, 4)))
    torch.testing.assert_close(rows[:, 3:], slow.mean((2, 3, 4)))


@pytest.mark.parametrize('shape', [(2, 5), (2, 5, 3, 4), (2, 5, 2, 3, 4)])
def test_maps_are_averaged(shape):
    feats = torch.randn(shape)
    naive = torch.stack([torch.stack([feats[n, d].mean() for d in range(5)]) for n in range(2)])
    torch.testing.assert_close(pool_features(feats), naive)
    torch.testing.assert_close(pool_features([torch.randn(2, 9), feats], 'last'), naive)


def test_pair_of_patch_map_and_class_token():
    patches, token = torch.randn(2, 5, 2, 3, 3), torch.randn(2, 5)
    for pair in ((patches, token), [(torch.randn(2, 9, 2, 3, 3), torch.randn(2, 9)), (patches, token)]):
        torch.testing.assert_close(pool_features(pair, 'cls'), token)
        torch.testing.assert_close(pool_features(pair, 'patch'), patches.mean((2, 3, 4)))


def test_skeletons_are_averaged_over_persons_frames_and_joints():
    feats = torch.randn(2, 2, 5, 3, 4)  # (N, persons, D, T, joints)
    torch.testing.assert_close(pool_features(feats, 'skeleton'), feats.mean(4).mean(3).mean(1))
