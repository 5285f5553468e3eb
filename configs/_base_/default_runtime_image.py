"""What every run on images shares: as default_runtime.py, under MMPretrain's scope."""

_base_ = ['default_runtime.py']

default_scope = 'mmpretrain'
custom_hooks = [dict(type='EpochSeedHook')]
visualizer = dict(type='UniversalVisualizer')
