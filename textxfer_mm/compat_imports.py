"""Repairs of imports that cost every run seconds for what hardly any run uses: they wait for the first use.

Cause: modules that every run needs import large libraries at their top, for one function or for a class that few
configs name. Together they are half of the time until a prediction starts. The two tables name them. What is imported
late is still the real thing: a call, an attribute, ``isinstance``, a subclass or ``type=`` in a config brings it in.
Where upstream stops importing eagerly, or a library is there already or not installed, nothing is postponed.
"""

import functools
import importlib
import importlib.abc
import inspect
import sys
import types
from abc import ABCMeta
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, PathFinder
from typing import Any

#: Modules, and the libraries that they use in single functions only.
LIBRARIES = {
    # The Adafactor optimizer: https://github.com/open-mmlab/mmengine/blob/v0.10.7/mmengine/optim/optimizer/builder.py
    'mmengine.optim.optimizer.builder': ('transformers',),
    # `mode`, for skeletons: https://github.com/open-mmlab/mmaction2/blob/v1.2.0/mmaction/datasets/transforms/pose_transforms.py
    'mmaction.datasets.transforms.pose_transforms': ('scipy.stats',),
    # Text towers that are transformers' and CoCa's generation of text: https://github.com/mlfoundations/open_clip
    'open_clip.hf_model': ('transformers', 'transformers.modeling_outputs'),
    'open_clip.coca_model': ('transformers',),
    # Whether a device compiles, for RoIAlign: https://github.com/pytorch/vision/blob/v0.21.0/torchvision/ops/roi_align.py
    'torchvision.ops.roi_align': ('torch._dynamo.utils',),
}

#: Modules that define one registered class over a large library: the class, and the registry it is in.
CLASSES = {
    # mmpretrain: https://github.com/open-mmlab/mmaction2/blob/v1.2.0/mmaction/models/backbones/mobileone_tsm.py
    'mmaction.models.backbones.mobileone_tsm': ('MobileOneTSM', 'mmaction.registry.MODELS'),
    # torch.distributed.fsdp: https://github.com/open-mmlab/mmengine/tree/v0.10.7/mmengine
    'mmengine.optim.optimizer.zero_optimizer': ('ZeroRedundancyOptimizer', 'mmengine.registry.OPTIMIZERS'),
    'mmengine.model.wrappers.fully_sharded_distributed': (
        'MMFullyShardedDataParallel',
        'mmengine.registry.MODEL_WRAPPERS',
    ),
    'mmengine._strategy.fsdp': ('FSDPStrategy', 'mmengine.registry.STRATEGIES'),
}

#: A module that defines a decorator over torch's compiler, and the decorator: other modules call it when imported.
DECORATORS = {
    # torch.compiler.disable: https://github.com/huggingface/pytorch-image-models/blob/v1.0.17/timm/layers/typing.py
    'timm.layers.typing': 'disable_compiler',
}


def postpone_imports() -> None:
    """Postpone the imports of the tables in modules that are not imported yet; the second call does nothing."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


class Deferred(ABCMeta):
    """The type of stand-ins for a class or function that is imported at the first use.

    A stand-in is a class, since registries take nothing else; it has no instances of its own.
    """

    @classmethod
    def stand_in(mcs, module: str, name: str, load: Callable[[], Any]) -> 'Deferred':
        """Make the stand-in of ``name`` in ``module``; ``load`` imports the real one."""
        return ABCMeta.__new__(mcs, name, (), dict(__module__=module, _load=staticmethod(load), _real=None))

    def __new__(mcs, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **options: Any) -> type:
        """Make a subclass of a stand-in: of the real class, that is."""
        bases = tuple(base.real() if isinstance(base, mcs) else base for base in bases)
        return types.new_class(name, bases, options, lambda body: body.update(namespace))

    def __init__(cls, *args: Any, **options: Any) -> None:
        """Do nothing: :meth:`stand_in` has made all there is."""

    def real(cls) -> Any:
        """The real class or function, imported now if it has not been; modules that hold the stand-in get it."""
        if vars(cls)['_real'] is None:
            real = vars(cls)['_load'].__func__()
            type.__setattr__(cls, '_real', real)
            for module in list(sys.modules.values()):
                held = list((getattr(module, '__dict__', None) or {}).items())  # sys.modules may hold None
                for name in [name for name, value in held if value is cls]:
                    setattr(module, name, real)
        return vars(cls)['_real']

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        """Call the real one."""
        return cls.real()(*args, **kwargs)

    def __getattr__(cls, name: str) -> Any:
        """Look an attribute up in the real one."""
        return getattr(cls.real(), name)

    def __instancecheck__(cls, instance: Any) -> bool:
        """Whether it is an instance of the real class; nothing is, as long as its module is not imported."""
        return _is_imported(cls) and isinstance(instance, cls.real())

    def __subclasscheck__(cls, subclass: type) -> bool:
        """Whether it is a subclass of the real class, likewise."""
        return subclass is cls or (_is_imported(cls) and issubclass(subclass, cls.real()))

    @property
    def __signature__(cls) -> inspect.Signature:
        """The signature of the real one."""
        return inspect.signature(cls.real())


def _is_imported(stand_in: Deferred) -> bool:
    return vars(stand_in)['_real'] is not None or not isinstance(
        sys.modules.get(stand_in.__module__), _Postponed | None
    )


class _Postponed(types.ModuleType):
    """Takes the place of a library, or is a module that has not run yet; its names are stand-ins."""


class _Library(_Postponed):
    """A library while a module that would import it eagerly runs."""

    def __init__(self, spec: ModuleSpec) -> None:
        super().__init__(spec.name)
        self.__spec__ = spec
        if spec.submodule_search_locations is not None:
            self.__path__ = spec.submodule_search_locations

    def __getattr__(self, name: str) -> Any:
        if name == '__version__':
            return self._import().__version__
        if name.startswith('__'):
            raise AttributeError(f'{self.__name__} is not imported yet: no {name}')
        return Deferred.stand_in(self.__name__, name, lambda: self._name(name))

    def _name(self, name: str) -> Any:
        library = self._import()
        if not hasattr(library, name):  # the eager import would have said so, and here nobody asked for it until now
            raise ImportError(f'cannot import name {name!r} from {self.__name__!r}')
        return getattr(library, name)

    def _import(self) -> types.ModuleType:
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return importlib.import_module(self.__name__)


@contextmanager
def _libraries_at_use(names: tuple[str, ...]) -> Iterator[None]:
    """Let imports of some libraries find stand-ins, as far as the libraries are installed and not imported yet."""
    specs = [_spec_of(name) for name in names if name not in sys.modules]
    made = {spec.name: _Library(spec) for spec in specs if spec is not None}
    sys.modules.update(made)
    try:
        yield
    finally:
        for name, library in made.items():
            if sys.modules.get(name) is library:
                del sys.modules[name]


def _spec_of(name: str) -> ModuleSpec | None:
    """Find a module without importing the packages it is in."""
    parts, path = name.split('.'), None
    for end in range(1, len(parts) + 1):
        spec = PathFinder.find_spec('.'.join(parts[:end]), path)
        if spec is None:
            return None
        path = spec.submodule_search_locations
    return spec


def _decorating_at_use(decorator: Callable) -> Callable:
    """A decorator of functions that decorates at the first call of the function."""

    @functools.wraps(decorator)
    def decorate(function: Callable) -> Callable:
        decorated = functools.cache(lambda: decorator(function))

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            return decorated()(*args, **kwargs)

        return call

    return decorate


class _Loader(importlib.abc.Loader):
    """Runs a module of the tables as its own loader does, but for the imports that wait."""

    def __init__(self, loader: importlib.abc.Loader) -> None:
        self.loader = loader

    def create_module(self, spec: ModuleSpec) -> types.ModuleType | None:
        """Make the module as its own loader does."""
        return self.loader.create_module(spec)

    def exec_module(self, module: types.ModuleType) -> None:
        """Run the module, or fill it with the stand-in of its class, which will run it."""
        module.__loader__ = module.__spec__.loader = self.loader
        if module.__name__ in LIBRARIES:
            with _libraries_at_use(LIBRARIES[module.__name__]):
                self.loader.exec_module(module)
        elif module.__name__ in DECORATORS:
            self.loader.exec_module(module)
            name = DECORATORS[module.__name__]
            if hasattr(module, name):
                setattr(module, name, _decorating_at_use(getattr(module, name)))
        else:
            self._stand_in(module)

    def _stand_in(self, module: types.ModuleType) -> None:
        name, location = CLASSES[module.__name__]
        package, _, registry_name = location.rpartition('.')
        registry = getattr(importlib.import_module(package), registry_name)

        def load() -> type:
            if isinstance(module, _Postponed):
                module.__class__ = types.ModuleType
                del registry.module_dict[name]  # the class registers itself
                try:
                    self.loader.exec_module(module)
                except BaseException:
                    defer()
                    raise
            return getattr(module, name)

        def defer() -> None:
            module.__class__ = _Postponed
            setattr(module, name, stand_in)
            registry.register_module(name=name, module=stand_in, force=True)

        stand_in = Deferred.stand_in(module.__name__, name, load)
        defer()


class _Finder(importlib.abc.MetaPathFinder):
    """Finds the modules of the tables as the other finders do, and wraps their loaders."""

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """Answer for the modules of the tables alone."""
        if not any(fullname in table for table in (LIBRARIES, CLASSES, DECORATORS)):
            return None
        found = (finder.find_spec(fullname, path, target) for finder in sys.meta_path if finder is not self)
        spec = next((spec for spec in found if spec is not None), None)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader)
        return spec
