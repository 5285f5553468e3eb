"""``model-index.yml``, from which OpenMIM lists the models."""

from pathlib import Path

import yaml
from modelindex.load_model_index import load

ROOT = Path(__file__).resolve().parents[2]


def test_imports_every_metafile():
    listed = yaml.safe_load((ROOT / 'model-index.yml').read_text())['Import']
    assert listed == sorted(str(path.relative_to(ROOT)) for path in ROOT.glob('configs/**/metafile.yml'))


def test_loads_and_names_configs_that_exist():
    index = load(str(ROOT / 'model-index.yml'))
    index.build_models_with_collections()
    assert len(index.models) > 0
    for model in index.models:
        assert (ROOT / model.config).is_file(), model.config
        assert model.name == Path(model.config).stem
        assert model.in_collection in {collection.name for collection in index.collections}


def test_collections_have_a_page():
    for path in ROOT.glob('configs/**/metafile.yml'):
        for collection in yaml.safe_load(path.read_text())['Collections']:
            assert (path.parent / collection['README']).is_file(), f'{path}: {collection["README"]}'
