"""The page in a real Chromium: upload, labels, scores, timeline; a broken file, a file over the limit, no outside."""

import json

import pytest
from web_files import files_in, wait_until

By = pytest.importorskip('selenium.webdriver.common.by', reason='selenium is not installed').By
MARKUP = '<img src=x onerror="document.title=1">'


@pytest.fixture
def page(server, chromium):
    """A fresh page."""
    chromium.get(server[0])
    find(chromium, '#go')
    return chromium


def find(page, selector):
    """The first visible element, as soon as there is one."""
    found = []

    def is_there():
        found[:] = [element for element in page.find_elements(By.CSS_SELECTOR, selector) if element.is_displayed()]
        return bool(found)

    wait_until(is_there, 30)
    return found[0]


def upload(page, file):
    page.find_element(By.CSS_SELECTOR, '#upload input[type=file]').send_keys(str(file))


def traffic(page):
    """All addresses that the browser has asked for since the last call, and those that were refused."""
    messages = [json.loads(entry['message'])['message'] for entry in page.get_log('performance')]
    answers = [m['params']['response'] for m in messages if m['method'] == 'Network.responseReceived']
    asked = {m['params']['request']['url'] for m in messages if m['method'] == 'Network.requestWillBeSent'}
    return asked, {answer['url'] for answer in answers if answer['status'] >= 400}


def test_upload_labels_scores_frames_timeline(page, server, media):
    upload(page, media / 'videos' / 'a.mp4')
    find(page, '#upload .file-preview')
    find(page, '#labels textarea').send_keys(f'waving, {MARKUP}')
    find(page, '#go').click()
    scores = find(page, '#answer .scores').text
    assert 'waving' in scores
    assert MARKUP in scores
    assert page.title == 'textxfer'
    assert not page.find_elements(By.CSS_SELECTOR, '#answer img[src="x"]')
    assert 'The 4 frames that the model used' in find(page, '#answer').text
    assert find(page, '#answer .segments').text  # the timeline comes behind the scores
    pictures = page.find_elements(By.CSS_SELECTOR, '#answer .frames img, #answer .timeline img')
    assert len(pictures) == 5
    assert all(page.execute_script('return arguments[0].naturalWidth', picture) > 30 for picture in pictures)
    assert len(files_in(server[1])) == 1  # for another question on the same file
    find(page, '#upload button[aria-label="Clear"]').click()
    wait_until(lambda: not files_in(server[1]))
    asked, refused = traffic(page)
    assert {address for address in asked if not address.startswith((server[0], 'data:', 'blob:'))} == set()
    assert refused == set()


def test_a_narrow_window_scrolls_down_alone_and_has_a_narrow_timeline(page, media):
    page.set_window_size(500, 1000)
    try:
        find(page, '#labels textarea').send_keys(', '.join(f'label {number}' for number in range(12)))
        upload(page, media / 'videos' / 'a.mp4')
        find(page, '#upload .file-preview')
        find(page, '#go').click()
        find(page, '#answer .segments')
        assert page.execute_script('return document.documentElement.scrollWidth <= window.innerWidth')
        picture = find(page, '#answer .timeline img')
        address = page.execute_script('return arguments[0].currentSrc', picture)
        assert address == picture.find_element(By.XPATH, '../source').get_attribute('srcset')
        assert picture.size['width'] <= find(page, '#answer .timeline').size['width'] <= 500
        behind = page.find_element(By.CSS_SELECTOR, '#answer .more .scores')
        assert not behind.is_displayed()
        find(page, '#answer .more summary').click()
        assert len([row for row in behind.find_elements(By.TAG_NAME, 'th') if row.is_displayed()]) == 2
    finally:
        page.set_window_size(1200, 1000)


def test_a_video_of_the_server_takes_the_place_of_an_upload(page, server, media):
    upload(page, media / 'videos' / 'a.mp4')
    find(page, '#upload .file-preview')
    find(page, '#choice input').click()

    def offered():
        return [o for o in page.find_elements(By.CSS_SELECTOR, '[role=option]') if o.text.endswith('b.mp4')]

    wait_until(offered)  # the list opens a moment after the click
    offered()[0].click()
    wait_until(lambda: not page.find_elements(By.CSS_SELECTOR, '#upload .file-preview'))
    wait_until(lambda: not files_in(server[1]))
    find(page, '#timeline input').click()
    find(page, '#go').click()
    assert 'b.mp4' in find(page, '#answer .answer-title').text
    assert not page.find_elements(By.CSS_SELECTOR, '#answer .timeline')
    assert 'All labels together make 100 %' in find(page, '#answer').text


def test_a_broken_file_shows_one_line(page, media):
    upload(page, media / 'broken.mp4')
    find(page, '#upload .file-preview')
    find(page, '#go').click()
    text = find(page, '#answer .problem').text
    assert text.startswith('broken.mp4 could not be read: truncated or damaged MP4')
    assert '\n' not in text
    assert 'Traceback' not in page.page_source


def test_a_file_over_the_limit_shows_one_line(page, server, media):
    upload(page, media / 'large.mp4')
    assert 'exceed the maximum allowed size of 256' in find(page, '[data-testid=toast-body], .toast-body').text
    assert not files_in(server[1])
    find(page, '#go').click()  # the message above is gone by then
    assert find(page, '#answer .problem').text.endswith('webp, tif, tiff, ppm; at most 0.25 MB).')


def test_a_page_that_is_closed_leaves_no_file(page, server, media):
    upload(page, media / 'videos' / 'a.mp4')
    find(page, '#upload .file-preview')
    wait_until(lambda: len(files_in(server[1])) == 1)
    page.get('about:blank')
    wait_until(lambda: not files_in(server[1]), 30)
