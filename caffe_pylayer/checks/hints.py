# From caffe-pylayer, (c) 2026 its authors, BSD 2-Clause license: see __init__.py
# ruff: noqa
"""What Caffe says of a layer, and what to do."""

NOT_ITERATED = "bottom and top cannot be iterated: use range(len(bottom))"
ANOTHER_BOOST = (
    "this Caffe was built with another Boost.Python than the one that it loads: "
    "build pycaffe again, or take Caffe and Boost from one source"
)
SHAPES = "reshape must give every top its shape: top[i].reshape(...)"
HINTS = (  # what Caffe says, and what to do
    ("Check failed: data_", SHAPES),
    ("Check failed: diff_", SHAPES),
    ("converter found for C++ type: caffe::Blob<float>*", NOT_ITERATED),
    ("No to_python (by-value) converter", ANOTHER_BOOST),
    (
        "Invalid index type",
        "bottom and top are indexed with plain ints: bottom[int(i)]",
    ),
    (
        "rvalue of type int",
        "sizes are single plain ints: top[0].reshape(*[int(n) for n in shape])",
    ),
)


def with_hint(text):
    """Return the text of an error with a line that says what to do, if one is known."""
    hints = [hint for words, hint in HINTS if words in text]
    return "\n  ".join([text] + hints[:1])
