"""The page for people, in Debian's Chromium: asking, marks, keyboard, labels, phone, dark."""

import os
import re
import shutil
from collections.abc import Iterator

import pytest
from pdf_files import at, write_pdf
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
def index(tmp_path_factory) -> Iterator[Index]:
    path = tmp_path_factory.mktemp("index")
    with Index.create(path / "all.index") as index:
        index.add([{"name": "car.txt", "text": "🙂 sky.\nthe car is blue."}])
        index.add([{"name": "<i>box.txt", "text": "the box is green."}])
        # Wider than high, turned, and with a text of two lines on its second page.
        lines = at(100, 500, "the door is red.", 20) + at(100, 450, "the sky is dark grey.")
        write_pdf(path / "door.pdf", [at(100, 500, "a house."), lines], "/Rotate 90")
        index.update(path / "door.pdf")
        yield index


@pytest.fixture(scope="module")
def url(qa, index) -> Iterator[str]:
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


def choose_text(page) -> None:
    page.find_element(By.CSS_SELECTOR, "input[value=text]").click()


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
    choose_text(page)
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
    choose_text(page)
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
    # With documents, the page asks them first.
    assert page.find_element(By.CSS_SELECTOR, "input[value=documents]").is_selected()
    assert not get(page, "text").is_displayed()
    options = page.find_elements(By.CSS_SELECTOR, "#document option")
    assert [one.text for one in options] == ["All documents", "car.txt", "<i>box.txt", "door.pdf"]
    get(page, "question").send_keys(QUESTION, Keys.ENTER)
    assert answers(page)[0] == "blue"
    source = page.find_elements(By.CLASS_NAME, "source")[0].text
    assert re.fullmatch(r"Score [\d.]+ % · car.txt, line 2", source)
    assert get(page, "text-shown").get_attribute("textContent") == "🙂 sky.\nthe car is blue."
    assert page.find_element(By.TAG_NAME, "mark").text == "blue"
    assert not get(page, "pages").is_displayed()
    options[2].click()
    fill(page, "count", "1")
    fill(page, "question", "What colour is the box?")
    page.execute_script("document.getElementById('status').textContent = ''")
    get(page, "send").click()
    assert answers(page) == [qa.answer("the box is green.", "What colour is the box?").text]
    assert "<i>box.txt" in page.find_elements(By.CLASS_NAME, "source")[0].text
    options[3].click()
    fill(page, "question", "What colour is the door?")
    get(page, "send").click()
    WebDriverWait(page, 30).until(lambda page: get(page, "pages").is_displayed())
    assert page.find_element(By.TAG_NAME, "mark").text == "red"


def rectangle(page, element) -> list[float]:
    """Returns the left, top, right and bottom of an element in the window, in pixels."""
    found = page.execute_script("return arguments[0].getBoundingClientRect()", element)
    return [found[name] for name in ("left", "top", "right", "bottom")]


def screenshot_colours(page, edges: list[float]) -> dict[tuple[int, ...], int]:
    """Returns how many pixels of each colour a part of the window has."""
    left, top, right, bottom = map(round, edges)
    # The browser itself reads its picture.
    pixels = page.execute_async_script(
        """
        const [data, left, top, width, height, done] = arguments;
        const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
        createImageBitmap(new Blob([bytes])).then((image) => {
          const context = new OffscreenCanvas(image.width, image.height).getContext("2d");
          context.drawImage(image, 0, 0);
          done(Array.from(context.getImageData(left, top, width, height).data));
        });
        """,
        page.get_screenshot_as_base64(),
        *(left, top, right - left, bottom - top),
    )
    colours = [tuple(pixels[at : at + 3]) for at in range(0, len(pixels), 4)]
    return {colour: colours.count(colour) for colour in set(colours)}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_an_answer_is_marked_on_its_page(page, index, scheme) -> None:
    feature = {"name": "prefers-color-scheme", "value": scheme}
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    get(page, "question").send_keys("What colour is the door?", Keys.ENTER)
    assert answers(page)[0] == "red"
    assert "door.pdf, page 2" in page.find_elements(By.CLASS_NAME, "source")[0].text
    WebDriverWait(page, 30).until(lambda page: page.find_elements(By.CLASS_NAME, "box"))
    sheet = page.find_element(By.CSS_SELECTOR, "#pages .sheet img")
    assert sheet.accessible_name == "Page 2 of door.pdf, with the answer marked"
    page.execute_script("arguments[0].scrollIntoView()", get(page, "pages"))
    (mark,) = page.find_elements(By.CLASS_NAME, "box")
    # The page is shown 842 points wide and 595 high. The text goes downwards: by the widths of
    # Helvetica, "red" is from 100 + 98.94 to 100 + 127.84. It stands on a line at 500.
    left, top, right, bottom = rectangle(page, sheet)
    width, height = right - left, bottom - top
    assert width / height == pytest.approx(842 / 595, abs=0.01)
    found = rectangle(page, mark)
    assert (found[1], found[3]) == (
        pytest.approx(top + height * 198.94 / 595, abs=1),
        pytest.approx(top + height * 227.84 / 595, abs=1),
    )
    assert left + width * 494 / 842 < found[0] < left + width * 497 / 842
    assert left + width * 514 / 842 < found[2] < left + width * 522 / 842
    # The colour of the mark, and the ink of the letters under it. Beside it the page is white.
    colours = screenshot_colours(page, found)
    assert colours[(255, 224, 138)] > 0.4 * sum(colours.values())
    assert any(max(colour) < 90 for colour in colours)
    beside = [found[2] + 20, found[1], found[2] + 30, found[3]]
    assert set(screenshot_colours(page, beside)) == {(255, 255, 255)}
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_errors_are_said(page) -> None:
    choose_text(page)
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
    choose_text(page)
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
