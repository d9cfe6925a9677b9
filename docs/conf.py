"""Sphinx makes a site of the README, the guides and the notes: `make docs`.

The source folder is the project's, so that links in the pages are those of the repository.
"""

import re
from pathlib import Path

from pygments.lexers.special import TextLexer
from sphinx.search.en import SearchEnglish

PAGES = {
    "Guides": [
        "loss",
        "loss.zh",
        "data",
        "gradient",
        "gradient.zh",
        "adopt",
        "team",
        "audit",
        "train",
        "caffe",
        "opencv",
        "faq",
    ],
    "Project": [
        "reference",
        "README <../README>",
        "../CONTRIBUTING",
        "../SECURITY",
        "../CHANGELOG",
        "../examples/README",
        "../benchmarks/README",
    ],
}

project = html_title = "caffe-pylayer"
extensions = ["myst_parser"]
root_doc = "docs/index"
include_patterns = ["docs/*.md", "*.md", "*/README.md"]
exclude_patterns = [".*", "layers", "site", "tests", "<*", "{*"]
myst_heading_anchors = 6
html_theme = "furo"
html_copy_source = False
html_show_copyright = False
html_use_index = False
html_search_language = "en-zh"


class Words(SearchEnglish):
    """English words; Chinese ones as characters and pairs of neighbours, without a dictionary."""

    lang = html_search_language
    js_splitter_code = r"""
const pairs = (han) => [...han].map((_, i) => han.slice(i, i + 2)).slice(0, han.length - 1 || 1);
var splitQuery = (query) => query
  .replace(/[\u4e00-\u9fff]+/g, (han) => ` ${pairs(han).join(" ")} `)
  .match(/[\p{L}\p{N}_]+/gu) || [];
"""

    def split(self, text):
        """The words to index in a text."""
        han = "[\u4e00-\u9fff]"
        words = re.findall(r"\w+", re.sub(han, " ", text))
        return words + re.findall(han, text) + re.findall(f"(?=({han}{han}))", text)


def add_navigation(app, docname, source):
    """The list of pages at the end of the first one, which stays plain Markdown."""
    if docname == root_doc:
        for caption, pages in PAGES.items():
            options = f":hidden:\n:caption: {caption}\n"
            source[0] += "\n".join(["\n```{toctree}", options, *pages, "```\n"])


def add_entrance(app, exception):
    """The site's own address leads to the first page."""
    target = app.builder.get_target_uri(root_doc)
    page = f'<!doctype html><meta http-equiv="refresh" content="0; url={target}">\n'
    (Path(app.outdir) / "index.html").write_text(page)


def add_language(app, page, template, context, doctree):
    """Browsers choose fonts by it: loss.zh.md is Chinese."""
    context["language"] = "zh" if page.endswith(".zh") else "en"


def setup(app):
    """Called by Sphinx."""
    app.add_lexer("prototxt", TextLexer)
    app.add_search_language(Words)
    app.connect("source-read", add_navigation)
    app.connect("html-page-context", add_language)
    app.connect("build-finished", add_entrance)
