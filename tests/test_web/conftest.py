"""A server with a tiny CLIP, and a real Chromium where the machine has one."""

import shutil

import pytest
import torch
from tiny_images import ARCH
from tiny_runs import write_corrupt, write_video

from textxfer_mm.apis import Recognizer, load_recognizer
from textxfer_mm.apis.model_configs import clip_zero_shot_config
from textxfer_mm.web.served_models import ServedModel

NO_GRADIO = 'gradio is not installed: pip install "textxfer_mm[web]"'


@pytest.fixture(scope='package')
def checkpoint(tmp_path_factory):
    """A model of videos that knows waving and clapping, and may be asked for anything else."""
    torch.manual_seed(0)
    cfg = clip_zero_shot_config(ARCH, None, ['waving', 'clapping'], num_frames=4)
    cfg.model.cls_head.test_scale = 20.0  # scores that differ
    model = load_recognizer(cfg, device='cpu')
    model.cls_head.class_rows.fill()
    file = tmp_path_factory.mktemp('model') / 'my_actions.pth'
    torch.save(dict(state_dict=model.state_dict(), meta=dict(cfg=cfg.pretty_text)), file)
    return file


@pytest.fixture(scope='package')
def media(tmp_path_factory):
    """A folder with a video, one below, one that is broken, one that is large, and a link that leads out of it."""
    folder = tmp_path_factory.mktemp('media')
    videos = folder / 'videos'
    (videos / 'sub').mkdir(parents=True)
    write_video(videos / 'a.mp4', frames=60)
    write_video(videos / 'sub' / 'b.mp4', 1, frames=20, seed=1)
    write_video(folder / 'secret.mp4', frames=10)
    (videos / 'link.mp4').symlink_to(folder / 'secret.mp4')
    write_corrupt(folder / 'broken.mp4', 'truncated')
    write_video(folder / 'large.mp4', frames=900)
    return folder


@pytest.fixture(scope='package')
def served(checkpoint, media):
    """The address of a page, and its uploads."""
    pytest.importorskip('gradio', reason=NO_GRADIO)
    from textxfer_mm.web import server, uploads

    made = []

    class Seen(uploads.Uploads):
        def __init__(self, keep):
            super().__init__(keep)
            made.append(self)

    patch = pytest.MonkeyPatch()
    patch.setattr(server, 'Uploads', Seen)
    models = [ServedModel('my_actions', Recognizer(checkpoint, device='cpu'))]
    models.append(ServedModel('other', Recognizer(checkpoint, labels=['one', 'two'], device='cpu')))
    with server.serving(models, videos=media / 'videos', port=0, most_megabytes=0.25) as address:
        yield address, made[0]
    patch.undo()
    assert not made[0].folder.exists()


@pytest.fixture(scope='package')
def server(served):
    """The address of a page, and its folder of uploads."""
    return served[0], served[1].folder


@pytest.fixture(scope='package')
def chromium():
    """A browser of 1200 x 1000 pixels that logs what it asks for."""
    programs = [shutil.which(name) for name in ('chromium', 'chromium-browser', 'google-chrome')]
    program, driver = next(filter(None, programs), None), shutil.which('chromedriver')
    if program is None or driver is None:
        pytest.skip('no chromium with chromedriver on this machine: apt-get install chromium chromium-driver')
    webdriver = pytest.importorskip('selenium.webdriver', reason='selenium is not installed: pip install selenium')
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = program
    for word in ('headless=new', 'no-sandbox', 'disable-gpu', 'disable-dev-shm-usage', 'window-size=1200,1000'):
        options.add_argument(f'--{word}')
    options.set_capability('goog:loggingPrefs', dict(performance='ALL'))
    browser = webdriver.Chrome(options=options, service=Service(driver))
    yield browser
    browser.quit()
