"""The guides as a site: `make docs` builds it, and a real browser finds no fault in it."""

import functools
import os
import re
import shutil
import subprocess
import sys
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from urllib.parse import urldefrag, urlsplit

import pytest

from support.project import PROJECT

BROWSERS = ["chromium-headless-shell", "chromium", "google-chrome"]
QUERIES = {
    "failing gradient test": "docs/gradient.html",
    "param_str_keys": "docs/reference.html",
    "损失": "docs/loss.zh.html",
    "梯度": "docs/gradient.zh.html",
    "损失函数": "docs/loss.zh.html",
}


def build(project, out):
    """What `make docs` runs."""
    command = [sys.executable, "-B", project / "scripts" / "docs", out]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """The site in a folder of its own."""
    out = tmp_path_factory.mktemp("docs") / "site"
    result = build(PROJECT, out)
    assert result.returncode == 0, result.stderr
    return out


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture(scope="session")
def server(site):
    """The site's address on this machine."""
    server = ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=site)
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()


@pytest.fixture(scope="session")
def tab():
    """A tab of a headless browser, that remembers what it complains of and asks the network for."""
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(
            f"{BROWSERS[0]} is not installed"
        )
    from playwright.sync_api import sync_playwright

    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=program) as it,
    ):
        tab = it.new_page()
        tab.set_default_timeout(10_000)
        tab.complaints, tab.asked = [], []
        tab.on(
            "console",
            lambda message: tab.complaints.append(f"{tab.url}: {message.text}"),
        )
        tab.on("pageerror", lambda error: tab.complaints.append(f"{tab.url}: {error}"))
        tab.on("request", lambda request: tab.asked.append(request.url))
        yield tab


@pytest.fixture(scope="session")
def visit(site, server, tab):
    """Every page as the browser shows it, found by following the links from the entrance."""
    tab.goto(server)
    tab.wait_for_url("**/docs/index.html")
    pages, waiting = {}, [tab.url]
    while waiting:
        address = waiting.pop()
        if address in pages:
            continue
        if not tab.goto(address).ok:
            continue
        pages[address] = SimpleNamespace(
            links=tab.eval_on_selector_all(
                "a[href]", "links => links.map(link => link.href)"
            ),
            ids=set(tab.eval_on_selector_all("[id]", "them => them.map(it => it.id)"))
            | {""},
            language=tab.evaluate("document.documentElement.lang"),
            pictures=tab.eval_on_selector_all(
                "img",
                "them => them.map(it => [it.src, it.complete && it.naturalWidth])",
            ),
        )
        waiting += {
            urldefrag(link).url
            for link in pages[address].links
            if is_page(link, server)
        }
    return pages


def is_page(link, server):
    return link.startswith(server) and urlsplit(link).path.endswith(".html")


def test_links_lead_to_every_page(visit, site, server):
    pages = {str(path.relative_to(site)) for path in site.rglob("*.html")}
    assert {address[len(server) :] for address in visit} == pages - {
        "index.html",
        "search.html",
    }


def test_links_lead_somewhere(visit, site, server):
    dead = []
    for address, page in visit.items():
        for link in page.links:
            target, anchor = urldefrag(link)
            if target in visit:
                alive = anchor in visit[target].ids
            elif link.startswith(server):
                alive = (site / target[len(server) :]).is_file()
            else:  # there is no network in a test: only its form
                alive = re.fullmatch(r"https://(\w[\w-]*\.)+[a-z]{2,}(/[^\s]*)?", link)
            if not alive:
                dead.append(f"{address}: {link}")
    assert not dead


def test_pictures_are_shown(visit):
    pictures = [picture for page in visit.values() for picture in page.pictures]
    assert pictures and all(width for _, width in pictures), pictures


def test_pages_say_their_language(visit):
    languages = {address: "zh" if ".zh." in address else "en" for address in visit}
    assert {address: page.language for address, page in visit.items()} == languages


@pytest.mark.parametrize("query, page", QUERIES.items())
def test_search_finds_the_page(tab, server, query, page):
    tab.goto(f"{server}{page}")
    tab.fill("input.sidebar-search", query)
    tab.press("input.sidebar-search", "Enter")
    tab.wait_for_selector("#search-results .search-summary:has-text('found')")
    results = tab.eval_on_selector_all(
        "#search-results li a", "them => them.map(it => it.href)"
    )
    assert f"{server}{page}" in [
        urldefrag(result).url.split("?")[0] for result in results
    ]


def test_search_does_not_find_everything(tab, server):
    tab.goto(f"{server}search.html?q=度梯")
    tab.wait_for_selector("#search-results .search-summary:has-text('did not match')")


def test_browser_had_nothing_to_complain_of(visit, tab):
    assert tab.complaints == []


def test_no_other_host_was_asked(visit, tab, server):
    assert [url for url in tab.asked if not url.startswith((server, "data:"))] == []


@pytest.fixture
def copy(tmp_path):
    """The project, to change its guides."""
    away = shutil.ignore_patterns(".*", "__pycache__", "layers", "site")
    return shutil.copytree(PROJECT, tmp_path / "copy", ignore=away, symlinks=True)


@pytest.mark.proof
def test_dead_link_fails_the_build(copy, tmp_path):
    links = ["nowhere.md", "#nowhere", "../README.md#nowhere", "../nowhere.py"]
    with open(copy / "docs" / "loss.md", "a") as guide:
        guide.writelines(f"\n[dead]({link})\n" for link in links)
    result = build(copy, tmp_path / "site")
    assert result.returncode == 1
    assert len(re.findall(r"WARNING: .*nowhere", result.stderr)) == len(links)
    assert not (tmp_path / "site").exists()


@pytest.mark.proof
def test_site_is_replaced_but_no_other_folder(site, tmp_path):
    out = shutil.copytree(site, tmp_path / "site")
    (out / "docs" / "old.html").touch()
    assert build(PROJECT, out).returncode == 0
    assert not (out / "docs" / "old.html").exists()
    (out / "searchindex.js").unlink()
    result = build(PROJECT, out)
    assert (result.returncode, result.stderr.count("\n")) == (1, 1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["site"]
