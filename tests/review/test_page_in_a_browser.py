"""One person at the page in a real browser: signs in, reads, corrects and submits a sample; the correction is trained on."""

import json

import pytest

from axolotl_synthetic import reviewing

from browsers import chromium
from finished import finish, gold, sample, seed

SECONDS = 60


@pytest.fixture
def browser(tmp_path):
    with chromium(tmp_path / "browser") as driver:
        yield driver


def test_somebody_signs_in_reads_a_sample_corrects_it_and_the_correction_is_trained_on(tmp_path, browser, argilla, review):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.expected_conditions import element_to_be_clickable, presence_of_element_located
    from selenium.webdriver.support.ui import WebDriverWait

    made = finish(tmp_path, [sample(0, wrong=True)], review=review)
    page = reviewing.push(made).url
    wait = WebDriverWait(browser, SECONDS)

    browser.get(page)
    wait.until(presence_of_element_located((By.NAME, "Username"))).send_keys(argilla.credentials["username"])
    password = browser.find_element(By.NAME, "Password")
    password.send_keys(argilla.credentials["password"])
    password.submit()

    edit = wait.until(element_to_be_clickable((By.XPATH, "//label[contains(., 'Edit: I correct it below')]")))
    shown = browser.find_element(By.TAG_NAME, "body").text
    assert seed(0)["question"] in shown
    assert f"There are {gold(0) + 1} in sheet 0." in shown
    assert "final_answer: failed (7 is not the seed's 6)" in shown
    edit.click()
    box = browser.find_elements(By.CSS_SELECTOR, "[contenteditable=true]")[0]
    assert box.text == sample(0, wrong=True)["answer"]
    box.click()
    box.send_keys(Keys.CONTROL, "a")
    box.send_keys(Keys.DELETE)
    box.send_keys(f"2 jars of 3 cards are 2 × 3 = {gold(0)} cards.\n#### {gold(0)}")
    browser.find_element(By.CSS_SELECTOR, "button.button--submit").click()
    wait.until(lambda _: argilla.records(review["dataset"])["answer_augmentation-0"]["responses"])

    outcome = reviewing.pull(made)
    assert outcome.manifest["counts"]["accepted"] == 1
    lines = (made.folder / outcome.manifest["files"]["train"]["path"]).read_text().splitlines()
    (chat,) = [chat for chat in map(json.loads, lines) if chat["strategy"] != "seed"]
    assert chat["messages"] == [
        {"role": "user", "content": seed(0)["question"]},
        {"role": "assistant", "content": "2 jars of 3 cards are 2 × 3 = 6 cards.\n#### 6"},
    ]
    (row,) = [json.loads(line) for line in (made.folder / "samples.jsonl").read_text().splitlines()]
    assert (row["decision"]["what"], row["decision"]["who"]) == ("edit", ["argilla"])
