"""Every row: what share of its stills has captions, and what its classes are called."""

from harness.training import Setting
from mmengine.config import Config

from pages.edits import Edit, edits, head
from pages.unified_ratios.configs import set_share, set_texts

#: Captioned stills of 100, from captions alone to labels alone; the paper has all but the last one.
SHARES = (100, 90, 75, 50, 25, 10, 0)
MIXTURES = SHARES[1:-1]
#: The texts of classes with definitions.
ENRICHED = 'glosses'
#: What is tested besides the own texts of a row.
OTHERS = {'names': ENRICHED, ENRICHED: 'names', 'other-names': 'names', 'other-names-glosses': 'names'}


def row_of(share: int, way: str) -> str:
    """The name of a row."""
    return f'captions-{share}' if way == 'names' else f'captions-{share}-{way}'


def mixed(share: int, way: str) -> Edit:
    """So many captioned stills of 100, and class texts of a way."""

    def edit(cfg: Config) -> None:
        set_texts(cfg, way, OTHERS[way])
        set_share(cfg, share)

    return edit


def _settings() -> list[Setting]:
    """All rows; where there are captions alone, no class text is trained, and definitions are for testing."""
    rows = [(share, way) for share in SHARES for way in ('names', ENRICHED) if share < 100 or way == 'names']
    rows += [(50, way) for way in ('other-names', 'other-names-glosses')]
    made = [Setting(row_of(share, way), mixed(share, way)) for share, way in rows]
    return [*made, Setting('unicl-50', edits(mixed(50, 'names'), head(objective=dict(form='unicl'))))]


SETTINGS: dict[str, Setting] = {setting.name: setting for setting in _settings()}
