"""Where the tests of ``test_cuda`` run: importing this skips a file of tests unless there is a GPU that they may use.

TEXTXFER_TEST_GPU=1 lets the suite see the GPU. TEXTXFER_TEST_GPU=cpu runs these tests on the CPU instead, which shows
that the tests themselves work, and nothing of a GPU.
"""

import os

import pytest
import torch

_ASKED = os.environ.get('TEXTXFER_TEST_GPU')
if _ASKED != 'cpu' and not torch.cuda.is_available():
    hint = '' if _ASKED == '1' else '; TEXTXFER_TEST_GPU=1 lets the tests see it'
    pytest.skip(f'needs a GPU that torch sees{hint}', allow_module_level=True)

DEVICE = torch.device('cpu' if _ASKED == 'cpu' else 'cuda')
ON_GPU = DEVICE.type == 'cuda'
# float32 products in float32, in the whole process: a GPU may round them to TF32
torch.backends.cuda.matmul.allow_tf32 = False
torch.backends.cudnn.allow_tf32 = False
