"""Slips in a config end in one line, before anything is built or written."""

import re

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import METRICS, init_default_scope
from tiny_runs import run_config, write_dataset

from textxfer_mm.engine.config_checks import check_config
from textxfer_mm.engine.config_files import load_config
from textxfer_mm.engine.config_keys import check_options
from textxfer_mm.engine.config_parts import check_parts
from textxfer_mm.engine.metric_checks import _reported
from textxfer_mm.engine.rate_checks import check_rates
from textxfer_mm.errors import UserError
from textxfer_mm.files import config_dir
from textxfer_mm.registry import HOOKS

PHASES = ('train', 'val', 'test')


@pytest.fixture
def cfg(tmp_path):
    return Config(run_config(write_dataset(tmp_path / 'videos', good=2), tmp_path / 'run'))


def told(cfg, phases=PHASES, **changes):
    """What is said of a config with dotted changes; None as a value removes a key."""
    for path, value in changes.items():
        *parents, key = path.split('__')
        node = cfg
        for parent in parents:
            node = node[int(parent)] if parent.isdecimal() else node[parent]
        if value is None:
            node.pop(key)
        else:
            node[key] = value
    with pytest.raises(UserError) as caught:
        check_config(cfg, phases)
    assert '\n' not in str(caught.value)
    return str(caught.value)


def test_a_good_config_passes_and_nothing_is_written(cfg, tmp_path):
    check_config(cfg, PHASES)
    assert not (tmp_path / 'run').exists()


class TestKeys:
    @pytest.mark.parametrize(
        ('key', 'meant'),
        [
            *[('modell', 'model'), ('train_cgf', 'train_cfg'), ('optim_wraper', 'optim_wrapper')],
            *[('val_dataloder', 'val_dataloader'), ('custom_hook', 'custom_hooks'), ('load_form', 'load_from')],
            *[('param_schedular', 'param_scheduler'), ('test_pipline', 'test_pipeline'), ('trian_cfg', 'train_cfg')],
        ],
    )
    def test_misspelt_names(self, tmp_path, key, meant):
        for name, text in (('a.py', f'{key} = dict(a=1)\n'), ('a.json', f'{{"{key}": 1}}'), ('a.yml', f'{key}: 1\n')):
            (tmp_path / name).write_text(text)
            with pytest.raises(UserError, match=rf"nothing reads '{key}'\. Did you mean: {meant}\?"):
                load_config(tmp_path / name)

    def test_a_name_in_a_comment_is_not_read(self, tmp_path):
        (tmp_path / 'a.py').write_text('modell = other = dict(a=1)  # modell is the model\n')
        with pytest.raises(UserError, match='Did you mean: model'):
            load_config(tmp_path / 'a.py')

    def test_variables_of_the_user_are_theirs(self, tmp_path):
        text = (
            'num_frames, size, lr, data_root, my_note = 8, 64, 0.1, "data", "x"\n'
            'train_loader = dict(batch_size=2)\n'
            'train_dataloader = dict(**train_loader)\n'
            'train_pipeline_8frames = []\n'
            'model2 = train_cfg_1 = optim_wrapper2 = dict()\n'
            'models = dict()\n'
        )
        (tmp_path / 'base.py').write_text(text)
        (tmp_path / 'a.py').write_text("_base_ = ['base.py']\nmodel = _base_.models\n")
        assert load_config(tmp_path / 'a.py').size == 64

    def test_the_config_that_a_run_writes_can_be_run_again(self, tmp_path):
        (tmp_path / 'a.py').write_text('train_loader = dict(a=1)\ntrain_dataloader = dict(**train_loader)\n')
        for name in ('dumped.py', 'dumped.json', 'dumped.yml'):
            load_config(tmp_path / 'a.py').dump(tmp_path / name)
            assert load_config(tmp_path / name).train_loader == dict(a=1)

    def test_a_misspelt_name_beside_the_right_one(self, tmp_path):
        (tmp_path / 'a.py').write_text('model = dict(a=1)\nmodell = dict(a=2)\n')
        with pytest.raises(UserError, match='Did you mean: model'):
            load_config(tmp_path / 'a.py')

    def test_all_shipped_configs_pass(self):
        files = [file for file in config_dir().rglob('*.py') if not {'_base_', 'downstream'} & set(file.parts)]
        assert len(files) > 30
        for file in files:
            load_config(file)

    @pytest.mark.parametrize(
        ('option', 'hint'),
        [
            ('modell.cls_head.topk', r"has no 'modell', .* Did you mean: model"),
            ('lr', r"nothing would read 'lr'\. Did you mean: optim_wrapper\.optimizer\.lr"),
            ('max_epochs', r'Did you mean: train_cfg\.max_epochs'),
            ('zzz', r"nothing would read 'zzz'\.$"),
        ],
    )
    def test_options_that_nothing_reads(self, cfg, option, hint):
        with pytest.raises(UserError, match=hint):
            check_options({option: 1}, cfg, 'tiny.py')

    def test_options_of_the_config_and_of_the_runner(self, cfg):
        cfg.my_variable = 3
        check_options({'my_variable': 4, 'load_from': 'a.pth', 'resume': True, 'auto_scale_lr.x': 1}, cfg, 'tiny.py')


class TestBases:
    @pytest.mark.parametrize(
        ('base', 'message'),
        [
            ('othr.py', r"a\.py: its _base_ 'othr\.py' does not exist\. Did you mean: other\.py\?"),
            ('nowhere/other.py', r"its _base_ 'nowhere/other\.py' does not exist\. There is no folder .*nowhere"),
            (
                'textxfer_mm::quickstart/finetune_efficientnet_minilm.py',
                r'does not exist\. Did you mean: finetune_efficientnet-lite0_minilm\.py',
            ),
            (
                'textxfer_mm::quikstart/finetune_efficientnet-lite0_minilm.py',
                r'does not exist\. Did you mean: quickstart/finetune_efficientnet-lite0_minilm\.py',
            ),
            (
                'mmaction::recognition/tsn/tsn_x.py',
                r"its _base_ 'mmaction::recognition/tsn/tsn_x\.py' does not exist\.",
            ),
            ('textxfer::a.py', r'is in no package whose configs can be inherited from\. Did you mean: textxfer_mm\?'),
            ('deeper.py', r"deeper\.py: its _base_ 'gone\.py' does not exist\."),
        ],
    )
    def test_a_base_that_is_not_there(self, tmp_path, base, message):
        (tmp_path / 'other.py').write_text('a = 1\n')
        (tmp_path / 'deeper.py').write_text("_base_ = 'gone.py'\n")
        (tmp_path / 'a.py').write_text(f'_base_ = [{base!r}]\n')
        with pytest.raises(UserError, match=message) as caught:
            load_config(tmp_path / 'a.py')
        assert '\n' not in str(caught.value)

    def test_what_is_wrong_beside_its_bases_is_said_as_ever(self, tmp_path):
        (tmp_path / 'other.py').write_text('a = 1\n')
        (tmp_path / 'a.py').write_text("_base_ = ['other.py']\nb = c\n")
        with pytest.raises(UserError, match="NameError: name 'c' is not defined"):
            load_config(tmp_path / 'a.py')


class TestRates:
    @pytest.mark.parametrize(
        ('changes', 'message'),
        [
            (
                dict(optim_wrapper__optimizer__lr='fast'),
                "optim_wrapper.optimizer.lr='fast' of the config is no number.",
            ),
            (dict(optim_wrapper__optimizer__lr=[0.1]), 'optim_wrapper.optimizer.lr=[0.1] of the config is no number.'),
            (dict(optim_wrapper__optimizer__lr=True), 'optim_wrapper.optimizer.lr=True of the config is no number.'),
            (dict(optim_wrapper__optimizer__momentum='much'), "optimizer.momentum='much' of the config is no number."),
            (
                dict(optim_wrapper__optimizer=dict(type='AdamW', lr=0.1, betas=0.9)),
                'optim_wrapper.optimizer.betas=0.9 of the config: a list of numbers is expected.',
            ),
            (
                dict(optim_wrapper__optimizer=dict(type='AdamW', lr=0.1, betas=(0.9,))),
                'optim_wrapper.optimizer of the config cannot be built',
            ),
            (
                dict(optim_wrapper__paramwise_cfg=dict(custom_keys=dict(backbone=dict(lr_mult='low')))),
                "optim_wrapper.paramwise_cfg.custom_keys.backbone.lr_mult='low' of the config is no number.",
            ),
            (
                dict(optim_wrapper__clip_grad=dict(max_norm='big')),
                "optim_wrapper.clip_grad.max_norm='big' of the config is no number.",
            ),
            (
                dict(optim_wrapper__accumulative_counts='two'),
                "optim_wrapper.accumulative_counts='two' of the config is no number.",
            ),
            (
                {'param_scheduler': [dict(type='CosineAnnealingLR', T_max='ten')]},
                "param_scheduler[0].T_max='ten' of the config is no number.",
            ),
            (
                {'param_scheduler': dict(type='MultiStepLR', milestones=['a'])},
                "param_scheduler.milestones=['a'] of the config: a list of numbers is expected.",
            ),
        ],
    )
    def test_what_is_no_number(self, cfg, changes, message):
        assert message in told(cfg, **changes)

    def test_what_may_be_none_or_a_dict(self, cfg):
        cfg.optim_wrapper.optimizer = dict(type='Adadelta', lr=1, rho=0.9, foreach=None)
        cfg.optim_wrapper.paramwise_cfg = dict(custom_keys=dict(alpha=dict(lr_mult=0)), norm_decay_mult=0.0)
        cfg.param_scheduler = [dict(type='CosineAnnealingLR', T_max=None, eta_min_ratio=0.1, begin=0, end=3)]
        check_rates(cfg)


class TestShapes:
    @pytest.mark.parametrize(
        ('changes', 'message'),
        [
            (dict(model=3), 'model of the config is a int, and a dict is expected.'),
            (
                dict(optim_wrapper=(dict(),)),
                'optim_wrapper of the config is a tuple, and a dict is expected; take away',
            ),
            (dict(custom_hooks=dict(type='EpochSeedHook')), 'a list is expected'),
            (dict(default_hooks=[]), 'default_hooks of the config is a list, and a dict is expected.'),
            (dict(param_scheduler='LinearLR'), 'a dict or a list of dicts is expected'),
            (dict(load_from=3), 'load_from of the config is a int, and text is expected.'),
            (dict(resume='a.pth'), 'resume of the config is a str, and True or False is expected.'),
            (dict(log_level='WARM'), "log_level='WARM' of the config is none. Known: CRITICAL"),
        ],
    )
    def test_values_of_another_kind(self, cfg, changes, message):
        assert message in told(cfg, **changes)


class TestParts:
    @pytest.mark.parametrize(
        ('changes', 'message'),
        [
            (dict(model__type=None), 'model of the config has no `type`'),
            (dict(model__backbone__type=None), 'model.backbone of the config has no `type`'),
            (dict(model__cls_head=['TSNHead']), 'model.cls_head of the config has no `type`'),
            (dict(default_hooks__logger__type=None), 'default_hooks.logger of the config has no `type`'),
            (
                dict(default_hooks__chekpoint=dict(interval=2)),
                'default_hooks.chekpoint of the config has no `type`',
            ),
            (dict(custom_hooks__0__type=None), 'custom_hooks[0] of the config has no `type`'),
            (dict(custom_hooks__0__type='EpochSeedHok'), 'is no registered hook. Did you mean: EpochSeedHook'),
            (
                dict(model__cls_head__dropout_ration=0.5),
                "argument of TSNHead: 'dropout_ration'. Did you mean: dropout_ratio",
            ),
            (
                dict(model__cls_head__in_channels=None),
                'TSNHead missing 1 required argument(s), in_channels, at model.cls_head',
            ),
            (
                dict(model__cls_haed=dict(type='TSNHead')),
                "argument of Recognizer2D: 'cls_haed'. Did you mean: cls_head",
            ),
            (dict(optim_wrapper__optimizer__type=None), 'optim_wrapper.optimizer of the config has no `type`'),
            (dict(optim_wrapper__optimizer=None), 'optim_wrapper.optimizer of the config has no `type`'),
            (
                dict(optim_wrapper__optimizer__momentom=0.5),
                "wrong argument of SGD: 'momentom'. Did you mean: momentum",
            ),
            (dict(optim_wrapper__clip_gard=dict(max_norm=1)), "OptimWrapper: 'clip_gard'. Did you mean: clip_grad"),
            (dict(param_scheduler=[dict(type='CosineAnnealing')]), 'Did you mean: CosineAnnealingLR'),
            (
                dict(param_scheduler=[dict(type='CosineAnnealingLR', Tmax=3)]),
                "CosineAnnealingLR: 'Tmax'. Did you mean: T_max",
            ),
            (
                dict(train_cfg__max_epoch=2),
                "argument of EpochBasedTrainLoop: 'max_epoch'. Did you mean: max_epochs",
            ),
            (dict(train_cfg=dict(max_epochs=2)), 'train_cfg of the config has no `type`'),
            (dict(val_evaluator__topk=1), "wrong argument of AccMetric: 'topk'"),
            (dict(val_evaluator__type='AccMetrik'), 'is no registered metric. Did you mean: AccMetric'),
            (dict(train_dataloader__sampler__type=None), 'train_dataloader.sampler of the config has no `type`'),
            (dict(train_dataloader__sampler__shufle=True), "DefaultSampler: 'shufle'. Did you mean: shuffle"),
            (
                dict(train_dataloader__dataset__annfile='x'),
                "argument of VideoDataset: 'annfile'. Did you mean: ann_file",
            ),
            (dict(train_dataloader__dataset__type='RepeatDataset'), "wrong argument of RepeatDataset: 'ann_file'"),
            (dict(train_dataloader__dataset__pipeline__4__scales=1), "'scales'"),
        ],
    )
    def test_types_and_arguments(self, cfg, changes, message):
        assert message in told(cfg, **changes)

    def test_one_of_a_wrapper_in_a_wrapper(self, cfg):
        inner = cfg.train_dataloader.dataset
        inner.pipeline[0].type = 'DecordInt'
        cfg.train_dataloader.dataset = dict(
            type='ConcatDataset', datasets=[dict(type='RepeatDataset', times=2, dataset=inner)]
        )
        assert 'Did you mean: DecordInit' in told(cfg)

    def test_arguments_that_a_class_takes_in_its_own_way(self, cfg):
        """Who reads ``**kwargs`` itself may take anything; who hands them on takes what the base takes."""

        class Reads:
            def __init__(self, **kwargs):
                super().__init__()
                self.extra = kwargs.pop('extra')

        class HandsOn(HOOKS.get('EpochSeedHook')):
            def __init__(self, mine=1, **kwargs):
                super().__init__(**kwargs)

        for kind in (Reads, HandsOn):
            HOOKS.register_module(module=kind)
        try:
            cfg.custom_hooks = [dict(type='Reads', extra=1)]
            check_parts(cfg, PHASES)
            cfg.custom_hooks = [dict(type='HandsOn', mine=2)]
            check_parts(cfg, PHASES)
            cfg.custom_hooks = [dict(type=HandsOn, theirs=2)]
            assert "wrong argument of HandsOn: 'theirs'" in told(cfg)
        finally:
            for kind in (Reads, HandsOn):
                HOOKS.module_dict.pop(kind.__name__)

    @pytest.mark.parametrize('name', ['AAGCN', 'STGCN'])
    def test_classes_of_mmaction_that_read_theirs(self, cfg, name):
        cfg.model.backbone = dict(type=name, graph_cfg=dict(layout='coco'), gcn_adaptive='init')
        check_parts(cfg, PHASES)

    def test_backbones_that_are_looked_up_elsewhere(self, cfg):
        cfg.model.backbone = dict(type='torchvision.resnet18', anything=1)
        check_parts(cfg, PHASES)
        cfg.model.backbone = dict(type='MobileOneTSM', arch='s0')  # imported at its first use
        check_parts(cfg, PHASES)


class TestLoadersAndNumbers:
    @pytest.mark.parametrize(
        ('changes', 'message'),
        [
            (
                dict(train_dataloader__num_worker=2),
                "argument of DataLoader in train_dataloader: 'num_worker'. Did you mean: num_workers",
            ),
            (
                dict(test_dataloader__persistant_workers=True),
                "'persistant_workers'. Did you mean: persistent_workers",
            ),
            (dict(train_dataloader__sampler=None), 'lacks something: train_dataloader.sampler'),
            (dict(train_dataloader__dataset=None), 'lacks something: train_dataloader.dataset'),
            (dict(train_dataloader__persistent_workers=True), 'persistent_workers option needs num_workers > 0'),
            (dict(train_dataloader__batch_size=0), 'train_dataloader of the config cannot be built: batch_size'),
            (
                dict(train_dataloader__batch_size='8'),
                "train_dataloader.batch_size='8' of the config is text where a number",
            ),
            (
                dict(train_dataloader__worker_init_fn__type='epoch_worker_init'),
                'Did you mean: epoch_worker_init_fn',
            ),
            (
                dict(train_dataloader__worker_init_fn__type=None),
                'train_dataloader.worker_init_fn of the config has no `type`',
            ),
            (dict(train_dataloader=()), 'train_dataloader of the config is a tuple, and a dict is expected.'),
            (dict(train_dataloader=(dict(),)), 'a dict is expected; take away the comma behind it'),
            (
                dict(optim_wrapper__optimizer__lr='0.01'),
                "optim_wrapper.optimizer.lr='0.01' of the config is text where a number is expected: write 0.01.",
            ),
            (dict(optim_wrapper__optimizer__lr='1e-3'), 'write 1e-3.'),
            (
                dict(optim_wrapper__optimizer__lr=-1),
                'optim_wrapper.optimizer of the config cannot be built: Invalid learning rate: -1',
            ),
            (dict(optim_wrapper__optimizer__lr='big'), "optim_wrapper.optimizer.lr='big' of the config is no number"),
            (
                dict(optim_wrapper__paramwise_cfg=dict(custom_keys={'a': dict(lr_mult='.1')})),
                "custom_keys.a.lr_mult='.1'",
            ),
            (
                dict(param_scheduler=[dict(type='LinearLR', start_factor='0.1')]),
                "param_scheduler[0].start_factor='0.1'",
            ),
            (dict(train_cfg__max_epochs='3'), "train_cfg.max_epochs='3'"),
            (dict(default_hooks__checkpoint__interval='1'), "default_hooks.checkpoint.interval='1'"),
            (
                dict(train_cfg__max_epochs='many'),
                "train_cfg.max_epochs of the config is a whole number of at least 1, got 'many'",
            ),
            (dict(train_cfg__max_epochs=2.5), 'a whole number of at least 1, got 2.5'),
            (
                dict(param_scheduler=[dict(type='LinearLR', start_factor=7)]),
                'param_scheduler[0] of the config cannot be built',
            ),
            (dict(param_scheduler=[dict(type='CosineAnnealingLR', T_max=3, begin=4, end=2)]), 'cannot be built: end'),
            (dict(randomness__sede=3), "wrong argument in randomness: 'sede'. Did you mean: seed"),
            (dict(train_dataloader__shuffle=True), "Shuffling is the sampler's: sampler=dict(type='DefaultSampler'"),
            (dict(train_dataloader__num_workers=2.0), 'train_dataloader.num_workers of the config is a whole number'),
            (
                dict(train_dataloader__num_workers=1, train_dataloader__multiprocessing_context='forkk'),
                'a valid start method',
            ),
            (dict(optim_wrapper__clip_grad=40), 'optim_wrapper.clip_grad=40 of the config: dict(max_norm=...)'),
            (
                dict(optim_wrapper__clip_grad=dict(maxnorm=40)),
                'optim_wrapper.clip_grad of the config cannot be built: ',
            ),
            (
                dict(optim_wrapper__clip_grad=dict(norm_type=2)),
                'optim_wrapper.clip_grad of the config cannot be built: ',
            ),
            (dict(custom_hooks__0__priority='HIGHISH'), "custom_hooks[0].priority='HIGHISH' of the config is none"),
            (dict(custom_hooks__0__priority=101), 'a number from 0 to 100 is expected, or one of HIGHEST'),
            (dict(auto_scale_lr=dict(enable=True)), 'needs the batch size that the learning rate was chosen for'),
            (dict(randomness__seed='a'), "randomness.seed of the config is a whole number, got 'a'"),
            (dict(env_cfg=dict(mp_cfg=dict(mp_start_method='fokr'))), "'fokr' is none. Did you mean: fork"),
            (dict(env_cfg=dict(mp_cfg=dict(start_method='fork'))), 'Did you mean: mp_start_method'),
            (dict(log_processor=dict(window_size='3')), "log_processor.window_size='3'"),
            (dict(train_cfg__val_begin='x'), 'train_cfg.val_begin of the config is a whole number'),
            (dict(val_cfg=None), 'The config has val_dataloader, val_evaluator, but not val_cfg'),
        ],
    )
    def test_slips(self, cfg, changes, message):
        assert message in told(cfg, **changes)

    def test_texts_that_may_be_numbers(self, cfg):
        cfg.default_hooks.checkpoint.out_dir = '2024'
        cfg.optim_wrapper.clip_grad = dict(max_norm=1.0, norm_type='2')
        cfg.train_dataloader.dataset.delimiter = '1'
        check_config(cfg, PHASES)


class TestMetrics:
    @pytest.mark.parametrize(
        ('evaluator', 'hooks', 'message'),
        [
            (dict(type='ConfusionMatrix'), dict(save_best='auto'), "'confusion_matrix/result', which is no number"),
            (
                [dict(type='ConfusionMatrix'), dict(type='AccMetric')],
                dict(save_best='auto'),
                'so that none is the best. Name one of acc/top1, acc/top5, acc/mean1',
            ),
            (
                dict(type='AccMetric'),
                dict(save_best='acc/top10'),
                "save_best='acc/top10' of CheckpointHook is not among",
            ),
            (
                dict(type='AccMetric'),
                dict(save_best=['acc/top1', 'top5']),
                "save_best='top5' .*Did you mean: acc/top5",
            ),
            (
                dict(type='AccMetric', metric_options=dict(top_k_accuracy=dict(topk=(1,)))),
                dict(save_best='acc/top5'),
                'Did you mean: acc/top1',
            ),
            (dict(type='AccMetric', prefix='mine'), dict(save_best='acc/top1'), 'Known: mine/mean1, mine/top1'),
            (dict(type='DumpResults', out_file_path='a.pkl'), dict(save_best='auto'), 'val_evaluator reports none'),
            (
                dict(type='AccMetric', metric_list='mean_class_accuracy', prefix='x'),
                dict(save_best='x/mean1'),
                "say whether more is better, rule='greater' or 'less'",
            ),
            (
                dict(type='AccMetric'),
                dict(save_best='acc/top1', rule='max'),
                'CheckpointHook refuses what the config gives it: .*max',
            ),
            (
                dict(type='AccMetric', metric_options=dict(top_k_accuracy=dict(topk=[1]))),
                dict(save_best='auto'),
                'AccMetric of val_evaluator refuses what the config gives it: topk must be int or tuple of int',
            ),
            (
                dict(type='AccMetric', metric_list=('top_k_acc',)),
                dict(save_best='auto'),
                "AccMetric of val_evaluator has no metric 'top_k_acc'. Did you mean: top_k_accuracy",
            ),
        ],
    )
    def test_a_best_checkpoint_needs_a_number(self, cfg, evaluator, hooks, message):
        said = told(cfg, val_evaluator=evaluator, default_hooks__checkpoint=dict(type='CheckpointHook', **hooks))
        assert re.search(message, said)

    @pytest.mark.parametrize(
        ('evaluator', 'hooks'),
        [
            (dict(type='AccMetric'), dict(save_best='auto')),
            ([dict(type='AccMetric'), dict(type='ConfusionMatrix')], dict(save_best='auto')),
            (dict(type='ConfusionMatrix'), dict()),
            (
                dict(type='AccMetric', metric_list='mean_class_accuracy', prefix='x'),
                dict(save_best='auto', rule='greater'),
            ),
            (dict(type='AccMetric'), dict(save_best=['acc/top1', 'acc/mean1'], rule=['greater', 'greater'])),
            (dict(type='AccMetric'), dict(save_best=['acc/top1', 'acc/mean1'])),
            (dict(metrics=[dict(type='AccMetric')]), dict(save_best='acc/mean1', rule='greater')),
            (dict(type='RetrievalMetric'), dict(save_best='R1', rule='greater')),  # what others report is not known
        ],
    )
    def test_what_works_passes(self, cfg, evaluator, hooks):
        cfg.val_evaluator = evaluator
        cfg.default_hooks.checkpoint = dict(type='CheckpointHook', **hooks)
        check_config(cfg, PHASES)

    def test_what_works_is_what_the_hook_of_a_run_takes(self, cfg):
        """The names that are predicted are those of MMEngine's own evaluation."""
        init_default_scope('mmaction')
        cfg.val_evaluator = [dict(type='AccMetric'), dict(type='ConfusionMatrix', prefix='cm')]
        real = {}
        for node in cfg.val_evaluator:
            metric = METRICS.build(node)
            metric.process({}, [dict(pred_score=torch.rand(5), gt_label=torch.tensor([1]))])
            real |= metric.evaluate(1)
        assert list(_reported(cfg, 'val')[0]) == list(real)

    def test_early_stopping_waits_for_what_comes(self, cfg):
        cfg.custom_hooks = [dict(type='EarlyStoppingHook', monitor='accuracy')]
        assert "monitor='accuracy' of EarlyStoppingHook is not among" in told(cfg)
        cfg.custom_hooks[0].monitor = 'acc/top1'
        check_config(cfg, PHASES)


class TestLabels:
    def several(self, cfg, *phases):
        for phase in phases:
            cfg[f'{phase}_dataloader'].dataset.update(multi_class=True, num_classes=2)
        return cfg

    def test_head_and_dataset(self, cfg):
        cfg.model.cls_head.multi_class = True
        assert 'The head of the config has multi_class=True' in told(cfg)
        cfg.model.cls_head.pop('multi_class')
        cfg.model.cls_head.loss_cls = dict(type='BCELossWithLogits')
        assert 'The head of the config has multi_class=True' in told(cfg)
        cfg.model.cls_head.pop('loss_cls')
        assert 'The dataset of the config has multi_class=True' in told(self.several(cfg, 'train'))

    def test_several_labels_everywhere(self, cfg):
        cfg.model.cls_head.multi_class = True
        cfg.val_evaluator = cfg.test_evaluator = dict(type='AccMetric', metric_list=('mean_average_precision',))
        check_config(self.several(cfg, *PHASES), PHASES)

    def test_dataset_and_metric(self, cfg):
        cfg.model.cls_head.multi_class = True
        said = told(self.several(cfg, *PHASES))
        assert 'has several labels a video' in said
        assert "take metric_list=('mean_average_precision',)" in said
        cfg.val_dataloader.dataset.multi_class = False
        cfg.test_dataloader.dataset.multi_class = False
        cfg.val_evaluator = dict(type='AccMetric', metric_list=('mean_average_precision',))
        assert 'has one label a video' in told(cfg)
        cfg.val_evaluator = dict(type='AccMetric')
        check_config(cfg, PHASES)  # a model of several labels may be validated on one each

    def test_a_confusion_matrix_is_of_one_label(self, cfg):
        cfg.model.cls_head.multi_class = True
        cfg.test_evaluator = dict(type='ConfusionMatrix')
        assert 'confusion_matrix of ConfusionMatrix in test_evaluator' in told(self.several(cfg, 'test'), ('test',))

    @pytest.mark.parametrize('given', [None, 3])
    def test_number_of_classes_of_the_dataset(self, cfg, given):
        cfg.model.cls_head.multi_class = True
        self.several(cfg, 'train').train_dataloader.dataset.num_classes = given
        assert f'num_classes={given}: give num_classes, 2 as the head has.' in told(cfg)
