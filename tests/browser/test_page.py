"""The page for people, in Debian's Chromium: asking, marks, keyboard, labels, phone, dark."""

import os
import re
import shutil
from collections.abc import Iterator

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait
from servers import serve, small_reader

from keras_qa.documents import Index

PROGRAMS = [shutil.which(name) for name in ("chromium", "chromedriver")]
if None in PROGRAMS:
    pytest.exit("These tests need Chromium: `apt install chromium chromium-driver`.", 2)

QUESTION = "What colour is the car?"
# HTML, control characters, a change of direction, and letters of two UTF-16 units.
HOSTILE = (
    '<img src=x onerror="document.title=1"><script>document.title=2</script></textarea>\x00\x1b[31m'
    "\x7f\x9b\u202e\u2066 🙂👍🏽 the car is blue. <b>the</b> &lt; sky 🙂"
)


@pytest.fixture(scope="module")
def qa():
    return small_reader()


@pytest.fixture(scope="module")
def url(qa, tmp_path_factory) -> Iterator[str]:
    with Index.create(tmp_path_factory.mktemp("index") / "all.index") as index:
        index.add([{"name": "car.txt", "text": "🙂 sky.\nthe car is blue."}])
        index.add([{"name": "<i>box.txt", "text": "the box is green."}])
        with serve(qa, index, allowed_hosts={"127.0.0.1"}) as url:
            yield url


@pytest.fixture(scope="module")
def browser() -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = PROGRAMS[0]
    options.add_argument("--headless=new")
    options.add_argument("--disable-dev-shm-usage")
    if os.geteuid() == 0:
        # Chromium has no sandbox for root.
        options.add_argument("--no-sandbox")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(PROGRAMS[1]))
    yield driver
    driver.quit()


@pytest.fixture
def page(browser, url) -> Iterator[webdriver.Chrome]:
    browser.set_window_size(1_000, 900)
    browser.get(url)
    WebDriverWait(browser, 30).until(lambda page: "reader" in get(page, "model").text)
    yield browser
    # Also no violation of the Content-Security-Policy.
    assert browser.get_log("browser") == []
    assert browser.title == "Ask a text"


def get(page, name: str):
    return page.find_element(By.ID, name)


def fill(page, name: str, text: str) -> None:
    """Sets a value, as pasting does: keys cannot type all characters."""
    page.execute_script("arguments[0].value = arguments[1]", get(page, name), text)


def answers(page) -> list[str]:
    """Waits for the answers and returns their texts."""
    WebDriverWait(page, 30).until(lambda page: re.match("Answer|[0-9]", get(page, "status").text))
    return [one.get_attribute("textContent") for one in page.find_elements(By.CLASS_NAME, "words")]


def shown(text: str) -> str:
    for code in (*range(9), 11, 12, *range(14, 32)):
        text = text.replace(chr(code), chr(0x2400 + code))
    return re.sub("[\x80-\x9f\u202a-\u202e\u2066-\u2069]", "�", text.replace("\x7f", "\u2421"))


def test_answers_are_marked_in_their_text(page, qa) -> None:
    text = "the box is red.\nthe car is blue. 🙂"
    fill(page, "text", text)
    get(page, "question").send_keys(QUESTION, Keys.ENTER)
    own = qa.answer(text, QUESTION, top_k=3)
    assert answers(page) == [one.text or "No answer" for one in own]
    scores = [one.text for one in page.find_elements(By.CLASS_NAME, "source")]
    assert scores == [f"Score {100 * one.score:.1f} %" for one in own]
    assert get(page, "text-shown").get_attribute("textContent") == text
    assert get(page, "status").text.startswith("3 answers. The best one: ")
    # Each answer shows its own mark.
    for button, one in zip(page.find_elements(By.CLASS_NAME, "answer"), own, strict=True):
        button.send_keys(Keys.ENTER)
        assert button.get_attribute("aria-pressed") == "true"
        marks = [mark.text for mark in page.find_elements(By.TAG_NAME, "mark")]
        assert marks == ([one.text] if one.text else [])
        focused = page.switch_to.active_element.get_attribute("id")
        assert focused == "text-shown"


def test_a_hostile_text_is_shown_as_text(page, qa) -> None:
    fill(page, "text", HOSTILE)
    fill(page, "question", "<img src=x onerror=alert(1)> What colour is the car?")
    get(page, "send").click()
    question = get(page, "question").get_attribute("value")
    # The server cuts a question after half a window.
    own = qa.answer(HOSTILE, question, top_k=3, max_question_length=6)
    assert answers(page) == [shown(one.text) or "No answer" for one in own]
    assert get(page, "text-shown").get_attribute("textContent") == shown(HOSTILE)
    for button, one in zip(page.find_elements(By.CLASS_NAME, "answer"), own, strict=True):
        button.click()
        marks = page.find_elements(By.TAG_NAME, "mark")
        found = [mark.get_attribute("textContent") for mark in marks]
        assert found == ([shown(one.text)] if one.text else [])
    assert page.find_elements(By.CSS_SELECTOR, "img, b, main script") == []


def test_documents_of_the_server(page, qa) -> None:
    page.find_element(By.CSS_SELECTOR, "input[value=documents]").click()
    assert not get(page, "text").is_displayed()
    options = page.find_elements(By.CSS_SELECTOR, "#document option")
    assert [one.text for one in options] == ["All documents", "car.txt", "<i>box.txt"]
    get(page, "question").send_keys(QUESTION, Keys.ENTER)
    assert answers(page)[0] == "blue"
    source = page.find_elements(By.CLASS_NAME, "source")[0].text
    assert re.fullmatch(r"Score [\d.]+ % · car.txt, line 2", source)
    assert get(page, "text-shown").get_attribute("textContent") == "🙂 sky.\nthe car is blue."
    assert page.find_element(By.TAG_NAME, "mark").text == "blue"
    options[2].click()
    fill(page, "count", "1")
    fill(page, "question", "What colour is the box?")
    page.execute_script("document.getElementById('status').textContent = ''")
    get(page, "send").click()
    assert answers(page) == [qa.answer("the box is green.", "What colour is the box?").text]
    assert "<i>box.txt" in page.find_elements(By.CLASS_NAME, "source")[0].text


def test_errors_are_said(page) -> None:
    get(page, "question").send_keys(QUESTION, Keys.ENTER)
    WebDriverWait(page, 30).until(lambda page: get(page, "status").text == "Paste a text first.")
    assert page.switch_to.active_element.get_attribute("id") == "text"
    assert get(page, "status").get_attribute("role") == "status"


def test_a_token_is_asked_for(browser, qa) -> None:
    with serve(qa, token="secret") as url:
        browser.get(url)
        WebDriverWait(browser, 30).until(lambda page: get(page, "token").is_displayed())
        get(browser, "token").send_keys("secret")
        fill(browser, "text", "the car is blue.")
        get(browser, "question").send_keys(QUESTION, Keys.ENTER)
        assert "blue" in answers(browser)
        assert get(browser, "model").text == "reader"
    # The browser itself logs the first answer, 401.
    assert all("401" in one["message"] for one in browser.get_log("browser"))


def test_labels_keyboard_phone_and_dark(page) -> None:
    controls = page.find_elements(By.CSS_SELECTOR, "input, textarea, select, button")
    assert all(one.accessible_name for one in controls if one.is_displayed())
    get(page, "text").click()
    page.switch_to.active_element.send_keys("the car is blue.", Keys.TAB)
    # From the text by keys alone.
    page.switch_to.active_element.send_keys(QUESTION, Keys.TAB)
    assert page.switch_to.active_element.get_attribute("id") == "send"
    page.switch_to.active_element.send_keys(Keys.ENTER)
    assert "blue" in answers(page)
    colours = []
    for scheme in ("light", "dark"):
        feature = {"name": "prefers-color-scheme", "value": scheme}
        page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
        style = "return getComputedStyle(document.body).backgroundColor"
        colours.append(page.execute_script(style))
    assert colours == ["rgb(255, 255, 255)", "rgb(21, 24, 28)"]
    size = {"width": 360, "height": 640, "deviceScaleFactor": 2, "mobile": True}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    fill(page, "text", "a" * 2_000 + " the car is blue.")
    widths = page.execute_script("return [document.documentElement.scrollWidth, innerWidth]")
    page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert widths == [360, 360]


def test_the_description_of_the_routes(browser, url) -> None:
    browser.get(f"{url}/docs")
    WebDriverWait(browser, 30).until(lambda page: page.find_elements(By.TAG_NAME, "details"))
    first = browser.find_element(By.TAG_NAME, "summary").text
    assert first == "POST / Answers questions about texts, in Hugging Face's inference schema."
    assert browser.get_log("browser") == []
