"""What is said of an argument that a class of the config does not take."""

import pytest
from mmengine.registry import HOOKS, METRICS
from tiny import FixedSource
from torch.nn import Linear

from textxfer_mm.registry import MODELS
from textxfer_mm.registry_errors import explain_config_error


def explained(cfg):
    with pytest.raises(TypeError) as caught:
        MODELS.build(cfg)
    return str(explain_config_error(caught.value))


@pytest.mark.parametrize(
    'kind',
    [
        'CaptionMatchingHead',
        'TextEmbeddingHead',
        'LearnablePromptHead',
        'UnifiedContrastiveHead',
        'VideoTextMatchingHead',
    ],
)
def test_the_class_that_was_written_is_named_and_not_its_base(kind):
    cfg = dict(type=kind, in_channels=8, classifier=FixedSource(), dropout_ration=0.5)
    told = f"The config has a wrong argument of {kind}: 'dropout_ration'. Did you mean: dropout_ratio"
    assert explained(cfg).startswith(told)


def test_what_no_config_can_give_is_not_suggested():
    told = explained(dict(type='TextEmbeddingHead', in_channels=8, classifier=FixedSource(), make_row=1))
    assert "TextEmbeddingHead: 'make_row'." in told
    assert 'make_rows' not in told


def test_a_mistake_that_the_config_did_not_make_is_none_of_it():
    class Broken:
        def __init__(self):
            dict_of(nosuch=1)

    def dict_of(known=0):
        return known

    MODELS.register_module(name='BrokenInside', module=Broken)
    try:
        with pytest.raises(TypeError) as caught:
            MODELS.build(dict(type='BrokenInside'))
        assert explain_config_error(caught.value) is None
    finally:
        MODELS.module_dict.pop('BrokenInside')


def test_a_value_that_a_class_of_others_refuses():
    with pytest.raises(ValueError, match='interval') as caught:
        HOOKS.build(dict(type='LoggerHook', interval=0))
    told = 'LoggerHook of the config cannot be built: interval must be greater than 0.'
    assert str(explain_config_error(caught.value)) == told
    with pytest.raises(AssertionError) as caught:
        METRICS.build(dict(type='mmaction.AccMetric', metric_list=('top',)))
    told = "AccMetric of the config cannot be built: it refuses {'metric_list': ('top',)}."
    assert str(explain_config_error(caught.value)) == told


def test_what_a_class_of_the_user_refuses_keeps_its_traceback():
    class Picky:
        def __init__(self):
            raise ValueError('no')

    MODELS.register_module(name='Picky', module=Picky)
    try:
        with pytest.raises(ValueError, match='no') as caught:
            MODELS.build(dict(type='Picky'))
        assert explain_config_error(caught.value) is None
    finally:
        MODELS.module_dict.pop('Picky')


def test_what_mmengine_words_anew_for_a_hook():
    def call_hook():
        try:
            MODELS.build(dict(type='ExponentialMovingAverage', model=Linear(1, 1), momentun=0.1))
        except TypeError as error:
            raise TypeError(f'{error} in a hook') from None

    with pytest.raises(TypeError) as caught:
        call_hook()
    assert "ExponentialMovingAverage: 'momentun'. Did you mean: momentum" in str(explain_config_error(caught.value))


def test_a_part_without_a_type():
    with pytest.raises(KeyError) as caught:
        MODELS.build(dict(in_channels=8))
    told = str(explain_config_error(caught.value))
    assert told.startswith('A part of the config has no `type`: dict(type=..., ...) is expected, got ')
    assert 'in_channels' in told
