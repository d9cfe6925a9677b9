#!/usr/bin/env python3
"""Compare with the alternatives, on real Caffe, in one run: `make bench`.

    bench.py [--write] [PART...]

prints tables: gradient, growth, generation, speed, train, or only the PARTs named. --write also
puts them into benchmarks/README.md, between its `<!-- bench: PART -->` marks.
"""

import argparse
import collections
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from importlib.metadata import version
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
sys.path.append(str(PROJECT / "tests"))

from checks.mutants import MUTANTS, STUBS  # noqa: E402

README = PROJECT / "benchmarks" / "README.md"
KINDS = ("identity", "loss", "learnable", "data", "metric")
GRADIENT_KINDS = ("identity", "loss", "learnable")
SEEDS = 5
GROWTH = [10**power for power in range(2, 7)]
RELU = [  # makes it of the stub identity: a kink at each element
    ("= bottom[0].data", "= bottom[0].data * (bottom[0].data > 0)"),
    ("= top[0].diff", "= top[0].diff * (bottom[0].data > 0)"),
]
SIZES = [10**power for power in range(2, 8)]
GENERATIONS = 30
TRAIN = dict(batch=16, iterations=20, turns=3, shares=(0.1, 0.5))
OURS, OURS_ALL = "ours, check gradient", "ours, all checks"
PEERS = {  # Caffe's C++ layer of the same job
    "identity": "type: 'Power'",
    "loss": "type: 'EuclideanLoss'",
    "learnable": "type: 'Scale' scale_param { axis: 1 bias_term: true }",
    "data": "type: 'DummyData' dummy_data_param { shape { dim: BATCH dim: 3 dim: 4 dim: 4 } "
    "shape { dim: BATCH } data_filler { type: 'gaussian' } data_filler { type: 'gaussian' } }",
}
FEWER_FORWARDS = 100  # the targets
GENERATION = 1.25
LARGE = 1.1
SMALL = 15e-6


def progress(text):
    print("bench: " + text, file=sys.stderr, flush=True)


def table(head, rows):
    """Return a Markdown table; all columns but the first are right-aligned."""
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def times(ratio):
    """Return a ratio as text, of three digits."""
    return f"{ratio:.0f}x" if ratio >= 100 else f"{ratio:.3g}x"


def target(text, met, found):
    return f"Target: {text}: **{'met' if met else 'not met'}** ({found})."


class Workshop:
    """A folder of its own, with baked layers, and a way into Caffe's system."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.config = self.folder / "config.yaml"
        lines = f"cookiecutters_dir: {folder}/templates\nreplay_dir: {folder}/replay\n"
        self.config.write_text(lines)
        self.versions = {}

    def bake(self, name, **answers):
        """Return the folder of the layer that is generated from the answers."""
        folder = self.folder / "layers" / name
        if not folder.exists():
            command = [
                sys.executable,
                "-B",
                "-m",
                "cookiecutter",
                "--no-input",
                str(PROJECT),
            ]
            command += [
                "--config-file",
                str(self.config),
                "--output-dir",
                str(folder.parent),
            ]
            answers = {"checks": "installed", **answers}
            command += [f"{key}={value}" for key, value in answers.items()]
            subprocess.run(
                [*command, f"layer_name={name}"], stdout=subprocess.DEVNULL, check=True
            )
        return str(folder)

    def on_caffe(self, part, **job):
        """Run a part of on_caffe.py and return its results."""
        (self.folder / "job.json").write_text(json.dumps(job))
        script = "benchmarks/on_caffe.py"
        command = ["scripts/with-caffe", "--bind", str(self.folder)]
        command += ["python3", "-B", script, part, str(self.folder)]
        environment = {**os.environ, "CAFFE_ALSO": "python3-torch"}
        subprocess.run(command, cwd=PROJECT, env=environment, check=True)
        results = json.loads((self.folder / "results.json").read_text())
        self.versions["on Caffe"] = results["versions"]
        return results["rows"]


def plant(source, folder, edits):
    """Copy a layer's folder into another and edit its module; @ is what stood there."""
    target = folder / source.name
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    module = target / f"{source.name}.py"
    text = module.read_text(encoding="utf-8")
    for before, after in edits:
        if text.count(before) != 1:
            sys.exit(f"bench: {text.count(before)} times in {module.name}: {before}")
        text = text.replace(before, after.replace("@", before))
    module.write_text(text, encoding="utf-8")
    return str(target)


def gradient(workshop):
    """Forward passes, seconds, mutants found and false alarms of gradient checks."""
    layers = {
        path.parent.name: path.parent
        for path in sorted(PROJECT.glob("examples/*/tests"))
    }
    for name, answers in STUBS.items():
        if answers["layer_kind"] in GRADIENT_KINDS:
            layers[name] = Path(workshop.bake(name, **answers))
    tasks = [
        dict(folder=str(path), mutant=None, seeds=SEEDS) for path in layers.values()
    ]
    rows = [(mistake, *row) for mistake, rows in MUTANTS.items() for row in rows]
    mutants = [row for row in rows if row[1] in layers]
    for number, (mistake, layer, name, before, after, *_) in enumerate(mutants):
        edits = (
            [(before, after)] if isinstance(before, str) else list(zip(before, after))
        )
        folder = plant(layers[layer], workshop.folder / "mutants" / str(number), edits)
        tasks.append(dict(folder=folder, mutant=f"{mistake}: {name}", seeds=1))
    results = workshop.on_caffe("gradient", tasks=tasks)
    correct = [row for row in results if row["mutant"] is None]
    broken = [row for row in results if row["mutant"] is not None]
    methods = list(dict.fromkeys(row["method"] for row in correct))

    def of(method, rows=correct, **wanted):
        wanted["method"] = method
        return [
            row
            for row in rows
            if all(row[key] == value for key, value in wanted.items())
        ]

    def total(method, key, **wanted):
        return sum(row[key] for row in of(method, **wanted)) / SEEDS

    rows, ratios, notes = [], {}, []
    for method in methods:
        forwards, seconds = total(method, "forwards"), total(method, "seconds")
        ratios[method] = forwards / total(OURS, "forwards")
        found = sum(row["found"] for row in of(method, broken))
        alarms = [row for row in of(method) if row["found"]]
        rows.append([
            method, f"{forwards:.0f}", times(ratios[method]),
            f"{seconds:.2f}", times(seconds / total(OURS, "seconds")),
            f"{found} of {len(mutants)}", f"{len(alarms)} of {len(of(method))}",
        ])  # fmt: skip
        counts = collections.Counter(row["layer"] for row in alarms)
        names = [f"{layer} ({count} of {SEEDS})" for layer, count in counts.items()]
        notes.append(f"False alarms of {method}: {', '.join(names) or 'none'}.")
    head = [
        "method",
        "forward passes",
        "of ours",
        "seconds",
        "of ours",
        "mutants found",
        "alarms",
    ]
    parts = [table(head, rows), "\n".join(notes)]
    rows = []
    for mistake in MUTANTS:
        planted = [row for row in broken if row["mutant"].startswith(mistake + ": ")]
        found = [sum(row["found"] for row in of(method, planted)) for method in methods]
        if planted:
            rows.append([mistake, len(planted) // len(methods), *found])
    parts.append(table(["mutants found, by mistake", "planted", *methods], rows))
    missed = [
        f"{row['layer']}, {row['mutant']}"
        for row in of(OURS_ALL, broken)
        if not row["found"]
    ]
    parts.append(f"Missed by {OURS_ALL}: {'; '.join(missed) or 'none'}.")
    others = [method for method in methods if not method.startswith("ours")]
    rows = []
    for layer in layers:
        ours = total(OURS, "forwards", layer=layer)
        counts = [total(method, "forwards", layer=layer) for method in others]
        rows.append(
            [f"`{layer}`", of(OURS, layer=layer)[0]["elements"], f"{ours:.0f}"]
            + [f"{count:.0f} ({times(count / ours)})" for count in counts]
        )
    parts.append(table(["layer", "elements, batch 4", "ours", *others], rows))
    published = [method for method in others if not method.startswith("torch")]
    least = min(ratios[method] for method in published)
    found = ", ".join(f"{times(ratios[method])} for {method}" for method in published)
    text = f"at least {FEWER_FORWARDS} times fewer forward passes than either exhaustive method"
    parts.append(target(text, least >= FEWER_FORWARDS, found))
    return parts


def growth(workshop):
    """Forward passes and time of check `gradient` by the size of the bottom."""
    layers = {
        kind: workshop.bake(f"{kind}_stub", layer_kind=kind)
        for kind in ("identity", "loss")
    }
    layers["relu"] = plant(Path(layers["identity"]), workshop.folder / "relu", RELU)
    found = workshop.on_caffe("growth", layers=layers, sizes=GROWTH, repeats=5)
    rows, first = [], {row["kind"]: row for row in reversed(found)}
    for row in found:
        rows.append([
            row["kind"], f"{row['size']:,}", row["forwards"],
            times(row["seconds"] / first[row["kind"]]["seconds"]),
            times(row["seconds"] / row["one_pass"]),
            times(row["seconds"] / row["fast"]),
            times(row["seconds"] / row["there"]),
        ])  # fmt: skip
    head = [
        "layer",
        "elements",
        "forward passes",
        "time, of that at 100",
        "time, of one forward and backward",
        "time, of gradcheck's fast_mode",
        "of it at the same draws",
    ]
    parts = [table(head, rows)]
    for text, limit, chosen in (
        ("up to 1,000 elements at most 3 times fast_mode's time", 3, range(1001)),
        ("from 100,000 elements on less than it", 1, range(10**5, 10**9)),
    ):
        ratios = [r["seconds"] / r["fast"] for r in found if r["size"] in chosen]
        worst = max(ratios)
        parts.append(target(text, worst <= limit, f"at most {times(worst)}"))
    return parts


def bare_template(folder):
    """Make a cookiecutter template with one file."""
    inside = folder / "{{cookiecutter.layer_name}}"
    inside.mkdir(parents=True)
    (folder / "cookiecutter.json").write_text('{"layer_name": "my_layer"}\n')
    (inside / "{{cookiecutter.layer_name}}.py").write_text(
        '"""{{cookiecutter.layer_name}}"""\n'
    )
    return folder


def without_hooks(folder):
    """Copy this template without its hooks."""
    folder.mkdir()
    for path in (*PROJECT.glob("*.json"), *PROJECT.glob("*.py")):
        shutil.copy(path, folder)
    for name in ("template_spec", "templates", "<<cookiecutter.layer_name>>"):
        shutil.copytree(PROJECT / name, folder / name)
    return folder


def pypackage_template(folder):
    """Download cookiecutter-pypackage and return its template's folder and version, or None."""
    command = [sys.executable, "-m", "pip", "download", "-qqq", "--no-deps"]
    command += ["--disable-pip-version-check", "--only-binary=:all:", "-d", str(folder)]
    subprocess.run([*command, "cookiecutter-pypackage"], check=False)
    for wheel in folder.glob("*.whl"):
        zipfile.ZipFile(wheel).extractall(folder)
        for path in folder.glob("*/template/cookiecutter.json"):
            return path.parent, wheel.name.split("-")[1]
    return None


def generation(workshop):
    """Seconds of the command cookiecutter for this template and for others."""
    templates = {"a template with one file": bare_template(workshop.folder / "bare")}
    templates["this template"] = PROJECT
    templates["this template without its hooks"] = without_hooks(
        workshop.folder / "no_hooks"
    )
    pypackage = pypackage_template(workshop.folder / "pypackage")
    if pypackage:
        templates[f"cookiecutter-pypackage {pypackage[1]}"] = pypackage[0]
    else:
        progress("no cookiecutter-pypackage: pip download does not find it")
    seconds, files = {name: [] for name in templates}, {}
    caches = {
        "PYTHONDONTWRITEBYTECODE": "",
        "PYTHONPYCACHEPREFIX": str(workshop.folder / "pyc"),
    }
    command = [sys.executable, "-m", "cookiecutter", "--no-input"]
    command += ["--config-file", str(workshop.config), "--output-dir"]
    for count in range(GENERATIONS + 1):  # the first is not counted
        for name, template in templates.items():
            with tempfile.TemporaryDirectory(dir=workshop.folder) as out:
                start = time.perf_counter()
                subprocess.run(
                    [*command, out, str(template)],
                    stdout=subprocess.DEVNULL,
                    check=True,
                    env={**os.environ, **caches},
                )
                if count:
                    seconds[name].append(time.perf_counter() - start)
                files[name] = sum(path.is_file() for path in Path(out).rglob("*"))
    progress(f"generated {GENERATIONS} times from {len(templates)} templates")
    bare = seconds["a template with one file"]

    ratios = {
        name: statistics.median(ours / first for ours, first in zip(values, bare))
        for name, values in seconds.items()
    }
    rows = [
        [name, files[name], f"{min(values):.3f}", f"{ratios[name]:.2f}x"]
        for name, values in seconds.items()
    ]
    head = ["template", "files", "best seconds", "of the first's in the same round"]
    ours = ratios["this template"]
    return [table(head, rows), target(
        f"at most {GENERATION} times the template with one file", ours <= GENERATION, f"{ours:.2f}x"
    )]  # fmt: skip


def speed(workshop):
    """Forward and backward of every stub against a copy and Caffe's own layer."""
    layers = {kind: workshop.bake(f"{kind}_stub", layer_kind=kind) for kind in KINDS}
    found = workshop.on_caffe("speed", layers=layers, sizes=SIZES, peers=PEERS)
    names = {"copy": "numpy.copyto", "floor": "its numpy calls alone"}
    cells = {}
    for row in found:
        for other in set(row["seconds"]) - {"ours"}:
            line = cells.setdefault((row["kind"], row["direction"], other), {})
            line[row["size"]] = row["seconds"]["ours"] / row["seconds"][other]
    order = sorted(
        cells, key=lambda key: (KINDS.index(key[0]), key[1] == "backward", key[2])
    )
    peer = {kind: text.split("'")[1] for kind, text in PEERS.items()}
    rows = [
        [f"{kind} {direction}", names.get(other, peer.get(kind))]
        + [times(cells[kind, direction, other][size]) for size in SIZES]
        for kind, direction, other in order
    ]
    head = ["stub", "of", *(f"{size:,}" for size in SIZES)]
    parts = [table(head, rows)]
    small = [row for row in found if row["size"] == SIZES[0]]
    rows = [
        [f"{row['kind']} {row['direction']}"]
        + [
            f"{row['seconds'][name] * 1e6:.1f}" if name in row["seconds"] else "none"
            for name in ("ours", "peer", "copy")
        ]
        for row in small
    ]
    parts.append(
        table(
            [f"microseconds at {SIZES[0]}", "stub", "C++ layer", "numpy.copyto"], rows
        )
    )
    late = [row for row in small if row["seconds"]["ours"] > SMALL]
    parts.append(target(
        f"at {SIZES[0]} elements at most {SMALL * 1e6:.0f} microseconds", not late,
        "not " + ", ".join(f"{row['kind']} {row['direction']}" for row in late) if late else "all",
    ))  # fmt: skip
    best = {}
    for (kind, direction, other), line in cells.items():
        if other == "floor":
            continue
        best[kind, direction] = min(
            line[SIZES[-1]], best.get((kind, direction), float("inf"))
        )
    slow = [
        f"{' '.join(key)} ({times(ratio)})"
        for key, ratio in best.items()
        if ratio > LARGE
    ]
    parts.append(target(
        f"at {SIZES[-1]:,} elements at most {LARGE} times the copy or the C++ layer", not slow,
        "not " + ", ".join(slow) if slow else "all",
    ))  # fmt: skip
    return parts


def train(workshop):
    """Iterations/s of `train` in one and two processes against `caffe train`."""
    rows = workshop.on_caffe("train", **TRAIN)
    lines = []
    for row in rows:
        base = row["seconds"]["caffe train"]
        cells = [
            f"{1 / seconds:.1f} ({times(base / seconds)})"
            for seconds in row["seconds"].values()
        ]
        share = f"{100 * row['share']:.0f} %"
        lines.append([share, *cells, f"{row['talking']} %"])
    head = ["Python layer, of the time", *rows[0]["seconds"], "of it in communication"]
    return [table(head, lines)]


PARTS = {
    "gradient": gradient,
    "growth": growth,
    "generation": generation,
    "speed": speed,
    "train": train,
}


def write(blocks):
    """Put each block between its marks in the README."""
    text = README.read_text(encoding="utf-8")
    for name, block in blocks.items():
        marks = f"<!-- bench: {name} -->\n", "<!-- end -->"
        pattern = re.escape(marks[0]) + ".*?" + re.escape(marks[1])
        text, count = re.subn(
            pattern, lambda _, b=block, m=marks: m[0] + b + m[1], text, flags=re.S
        )
        if count != 1:
            sys.exit(f"bench: {README} has {count} places for {name}")
    README.write_text(text, encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__.strip().split("\n")[0])
    parser.add_argument(
        "--write", action="store_true", help="write them to README.md, too"
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    arguments = parser.parse_args()
    wanted = arguments.parts or list(PARTS)
    unknown = [name for name in wanted if name not in PARTS]
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}")
    blocks = {}
    start = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="caffe-pylayer-bench-") as folder:
        workshop = Workshop(folder)
        for name in wanted:
            progress(f"{name}, {time.perf_counter() - start:.0f} s")
            parts = PARTS[name](workshop)
            print(f"\n## {name}\n\n" + "\n\n".join(parts), flush=True)
            blocks[name] = "\n" + "\n\n".join(parts) + "\n\n"
        host = f"cookiecutter {version('cookiecutter')}, Python {platform.python_version()}"
        seconds = time.perf_counter() - start
        blocks["versions"] = "\n" + "\n".join([
            f"- layers and checks: {workshop.versions.get('on Caffe', 'not run')}",
            f"- generation: {host}",
            f"- one run, {seconds / 60:.0f} minutes, {os.cpu_count()} cores, {platform.machine()}",
        ]) + "\n\n"  # fmt: skip
        print("\n## versions\n" + blocks["versions"])
    if arguments.write:
        if arguments.parts:
            del blocks["versions"]  # they are of the last whole run
        write(blocks)


if __name__ == "__main__":
    main()
