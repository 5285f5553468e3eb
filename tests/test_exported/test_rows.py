"""Class rows that are given to an exported model at run time: those of its own text encoder alone."""

import pytest
import torch
from exported_models import NAMES, run

from textxfer_mm.apis.exported_recognizer import ExportedRecognizer
from textxfer_mm.classifiers.bundle import ClassifierBundle
from textxfer_mm.engine.classes import rows_of
from textxfer_mm.errors import UserError
from textxfer_mm.exported.model import ExportedModel
from textxfer_mm.exported.rows import NamedRows, require_kin

pytest.importorskip('onnxruntime', reason='the extra onnx is not installed')


@pytest.fixture
def saved(tmp_path):
    """Saves rows of names, drawn unless they are given."""

    def save(names, encoder_id, rows=None, templates=()):
        rows = torch.randn(len(names), 32) if rows is None else rows
        bundle = ClassifierBundle.from_rows(rows, class_names=names, templates=templates, encoder_id=encoder_id)
        return bundle.save(tmp_path / 'rows.safetensors')

    return save


def test_rows_of_another_encoder_of_equal_width_are_refused(exported, videos, saved):
    _, done = exported
    own = done.description.encoder_id
    file = saved(['left', 'right'], 'open_clip/ViT-Other/openai')
    result = run('predict', videos[0], '--model', done.file, '--rows', file)
    assert result.exit_code == 2
    assert f'rows.safetensors are by open_clip/ViT-Other/openai, those of the model by {own}: rows of' in result.output
    assert len(result.output.strip().splitlines()) == 1
    with pytest.raises(UserError, match='another text encoder recognise nothing'):
        ExportedRecognizer(done.file, rows=file)


def test_rows_that_bear_the_id_are_taken(exported, videos, saved):
    model, done = exported
    made = rows_of(model).source.renamed(['left', 'waving']).build()
    for rows, templates in ((made.weight, made.templates), (None, ()), (None, ('other {}',))):
        file = saved(['left', 'waving'], done.description.encoder_id, rows, templates)
        result = run('predict', videos[0], '--model', done.file, '--rows', file)
        assert result.exit_code == 0, result.output
        assert 'left' in result.output
        assert 'running' not in result.output


def test_weights_of_the_same_name_are_told_apart_by_the_rows(exported, saved):
    """A file of weights goes by its name, and so do two of them; the rows of a class of both do not lie."""
    model, done = exported
    other = torch.randn(2, 32)
    file = saved(['left', 'waving'], done.description.encoder_id, other, rows_of(model).templates)
    with pytest.raises(UserError, match=r'but by other weights: they differ for waving\. Make them with the weights'):
        ExportedRecognizer(done.file, rows=file)


def test_what_is_compared(exported):
    own = ExportedModel(exported[1].file).classes
    other = NamedRows(own.class_names, own.rows[[1, 2, 0]], own.encoder_id, own.templates)
    with pytest.raises(UserError, match='other weights: they differ for waving, clapping, running'):
        require_kin(other, own, 'rows')
    require_kin(other, own, 'rows', are_trained=True)  # moved rows are like none
    require_kin(NamedRows(own.class_names, other.rows, own.encoder_id, own.templates, (('a',),) * 3), own, 'rows')
    learned = NamedRows(own.class_names, own.rows, f'{own.encoder_id}/learned-prompt', ('[V1] {}',))
    require_kin(own, learned, 'rows')  # one space
    require_kin(own.of(['running']), own, 'rows')
    assert own.of(['running']).templates == own.templates
    with pytest.raises(UserError, match='recognise nothing'):
        require_kin(NamedRows(own.class_names, own.rows, 'another/learned-prompt'), learned, 'rows')
    assert tuple(NAMES) == own.class_names
