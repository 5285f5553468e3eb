"""Some videos, and a model that is exported once for all tests here."""

import pytest
from exported_models import TINY_VIT, built, video_config
from tiny_runs import write_video

from textxfer_mm.apis.exporting.export import export_model


@pytest.fixture(scope='package')
def videos(tmp_path_factory):
    folder = tmp_path_factory.mktemp('videos')
    for index in range(3):
        write_video(folder / f'{index}.mp4', index % 2, frames=7 + index, seed=index)
    return sorted(folder.iterdir())


@pytest.fixture(scope='package')
def exported(tmp_path_factory):
    """A model, its exported file and its exported text encoder."""
    pytest.importorskip('onnxscript', reason='the extra onnx is not installed')
    folder = tmp_path_factory.mktemp('exported')
    model = built(video_config(TINY_VIT))
    return model, export_model(model, folder / 'm.onnx', text_encoder=folder / 't.onnx')
