"""The page in a real browser, from the disk: it runs no script, requests nothing, shows every figure, and nothing overflows."""

import json

import pytest

from axolotl_synthetic import report

from browsers import chromium
from reportable import WIDE, find, make

NAMES = ("flow", "calls", "lengths", "diversity", "agreement", "grade")
VISIBLE = """return [...document.querySelectorAll('figure')].map(figure => [figure.id, [...figure.querySelectorAll('svg')]
  .filter(svg => svg.getClientRects().length).map(svg => [svg.parentElement.className, svg.clientWidth, svg.clientHeight])])"""
# Everything that a reader can see, and its right edge; texts for screen readers only are one pixel wide.
STICKING_OUT = """const wide = document.documentElement.clientWidth;
return [...document.querySelectorAll('body *')].filter(one => one.getClientRects().length && !one.closest('svg') && !one.closest('thead'))
  .filter(one => one.getBoundingClientRect().right > wide + 0.5 || one.scrollWidth > one.clientWidth + 1 && one.clientWidth > 0
    && getComputedStyle(one).display != 'inline').map(one => one.outerHTML.slice(0, 200))"""
# Letters outside their figure would be cut off.
CUT_OFF = """return [...document.querySelectorAll('svg')].filter(svg => svg.getClientRects().length).flatMap(svg => {
  const box = svg.getBoundingClientRect();
  return [...svg.querySelectorAll('text')].filter(text => { const own = text.getBoundingClientRect();
    return own.left < box.left - 1 || own.right > box.right + 1 || own.top < box.top - 1 || own.bottom > box.bottom + 1; })
  .map(text => [svg.getAttribute('aria-label').slice(0, 40), text.textContent]) })"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    logs = {"goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"}}
    with chromium(tmp_path_factory.mktemp("browser"), **logs) as driver:
        yield driver


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    return report.write(find(make(tmp_path_factory.mktemp("browsed"))))


def opened(browser, page, width):
    """Open the page at this width, unfold everything, and return the addresses that the browser requested."""
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False})
    browser.get_log("performance")
    browser.get(page.as_uri())
    browser.execute_script("document.querySelectorAll('details').forEach(one => one.open = true)")
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    return [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]


@pytest.mark.parametrize(("width", "drawn"), [(1200, "wide"), (400, "narrow"), (320, "narrow")])
def test_it_opens_without_a_request_and_every_figure_is_there_and_nothing_sticks_out(browser, page, width, drawn):
    asked = opened(browser, page, width)
    assert [address for address in asked if not address.startswith("data:")] == [page.as_uri()]
    assert browser.get_log("browser") == []
    visible = dict(browser.execute_script(VISIBLE))
    assert list(visible) == [f"figure-{name}" for name in NAMES]
    for [[kind, wide, high]] in visible.values():
        assert kind == drawn
        assert wide > 0.7 * min(width, 928) and high > 80
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    assert browser.execute_script(STICKING_OUT) == []
    assert browser.execute_script(CUT_OFF) == []


def test_what_a_model_wrote_is_read_as_text_and_did_nothing(browser, page):
    opened(browser, page, 1200)
    assert browser.title.startswith("out: synthetic math data")
    assert browser.execute_script("return document.querySelectorAll('script, img, iframe, form').length") == 0
    shown = browser.find_element("tag name", "main").text
    assert "<script>document.title='owned'</script>" in shown
    assert WIDE in shown.replace("\n", "")


def test_on_paper_the_wide_figures_and_all_that_was_folded_are_there(browser, page):
    opened(browser, page, 400)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    browser.execute_script("document.querySelectorAll('details').forEach(one => one.open = false)")
    try:
        assert all(kind == "wide" for _, [[kind, *_]] in browser.execute_script(VISIBLE))
        assert browser.execute_script("return document.querySelector('details article').getBoundingClientRect().height") > 50
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
