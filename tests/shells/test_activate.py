"""activate.sh, .fish and .csh: a layer's folder on PYTHONPATH and off again, in real shells.

The scripts are written for sh; `translate` makes those that every shell runs fit for fish and tcsh.
"""

import contextlib
import itertools
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from support.project import PROJECT
from support.tools import need

SHELLS = {
    "bash": ["--noprofile", "--norc"],
    "dash": [],
    "zsh": ["-f"],
    "fish": ["--no-config"],
    "tcsh": ["-f"],
}
SUFFIX = dict.fromkeys(SHELLS, "sh") | {"fish": "fish", "tcsh": "csh"}
STARTUP = {
    "bash": ".bashrc",
    "dash": ".profile",
    "zsh": ".zshrc",
    "fish": ".config/fish/config.fish",
    "tcsh": ".cshrc",
}
SHOW = "printenv PYTHONPATH || echo unset\n"
ODD = [
    "two  words",
    "it's",
    'say "hi"',
    "$HOME `id` $(id)",
    "back\\slash\\\\n\\",
    "Ünï Áđ 層",
    "not UTF-8 \udce9",
    "-n",
    "[ab]*?",
    "%x %n",
    "~",
    "#!a;b&c|d \\!!",
    "line\nbreak",
]
BAKED = {}


@pytest.fixture(params=list(SHELLS))
def shell(request):
    return need(request.param)


def only(*shells):
    return pytest.mark.parametrize("shell", shells, indirect=True)


only_sh = only("bash", "dash", "zsh")


def translate(script, shell):
    """`. ./activate.sh`, `$?` and `export NAME=value` in the words of another shell.

    One command a line, because tcsh looks for the aliases of a line before it runs the line.
    """
    if SUFFIX[shell] == "sh":
        return script
    export = r"set -gx \1 \2" if shell == "fish" else r"setenv \1 \2"
    script = re.sub(r"\bexport (\w+)=(\S+)", export, script.replace("; ", "\n"))
    script = re.sub(r"(^|[\n (])\. ", r"\1source ", script).replace("$?", "$status")
    return script.replace("activate.sh", f"activate.{SUFFIX[shell]}")


@pytest.fixture
def add(bake, tmp_path, tmp_path_factory):
    """add(folder, name) makes a layer in folder."""

    def add(folder=tmp_path, name="my_layer"):
        if name not in BAKED:
            BAKED[name] = bake(layer_name=name, out=tmp_path_factory.mktemp("baked"))
        return Path(shutil.copytree(BAKED[name], folder / name))

    return add


@pytest.fixture
def home(tmp_path):
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


@pytest.fixture
def run(tmp_path):
    """run(command, ...) returns exit code, stdout and stderr; env adds variables, None removes."""

    def run(*command, cwd=tmp_path, **env):
        base = {
            "PATH": os.environ["PATH"],
            "HOME": tmp_path / "home",
            "TMPDIR": tmp_path,
        }
        base["LC_ALL"] = "C.UTF-8"
        env = {
            key: str(value)
            for key, value in {**base, **env}.items()
            if value is not None
        }
        done = subprocess.run(
            [str(part) for part in command],
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=60,
        )
        return done.returncode, os.fsdecode(done.stdout), os.fsdecode(done.stderr)

    return run


@pytest.fixture
def shows(shell, run):
    """shows(script, ...) is the stdout of a script that must succeed without a complaint."""

    def shows(script, **options):
        script = translate(script, shell)
        code, out, err = run(shell, *SHELLS[shell], "-c", script, **options)
        assert (code, err) == (0, "")
        return out

    return shows


def is_one_line(text, file="activate.sh"):
    return (
        text.startswith(f"{file}: ") and text.endswith("\n") and text.count("\n") == 1
    )


def files(folder):
    return [path for path in folder.rglob("*") if path.is_file()]


# Sourcing


@pytest.mark.parametrize(
    "before, after",
    [
        (None, "{}"),
        ("", "{}"),
        ("/a", "{}:/a"),
        ("/a:/b c", "{}:/a:/b c"),
        (":/a:", "{}::/a:"),
        ("~/a:*", "{}:~/a:*"),
        ("{0}2:/x{0}:{0}/sub", "{0}:{0}2:/x{0}:{0}/sub"),
    ],
)
def test_sourcing_puts_the_folder_first_and_exports(add, shows, before, after):
    layer = add()
    before = before and before.format(layer)
    out = shows(". ./activate.sh; printenv PYTHONPATH", cwd=layer, PYTHONPATH=before)
    assert out == after.format(layer) + "\n"


def test_python_then_finds_the_layer(add, shows):
    layer = add()
    find = "import importlib.util as u; print(u.find_spec('my_layer').origin)"
    out = shows(
        '. my_layer/activate.sh; cd /; "$PYTHON" -c "$FIND"',
        PYTHON=sys.executable,
        FIND=find,
    )
    assert out == f"{layer / 'my_layer.py'}\n"


@pytest.fixture
def train(add, shell, run, tmp_path, with_caffe):
    """train(before) runs `caffe train` on real Caffe, in an oddly named layer's folder."""
    layer = add(tmp_path / " ".join(ODD[:-1]))
    env = {
        name: value for name, value in os.environ.items() if name.startswith("CAFFE_")
    }
    env["XDG_CACHE_HOME"] = os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")
    env["WITH_CAFFE"] = PROJECT / "scripts" / "with-caffe"
    caffe = '"$WITH_CAFFE" caffe train -solver example/solver.prototxt'

    def train(before):
        script = translate(f"{before}; {caffe}", shell)
        return run(shell, *SHELLS[shell], "-c", script, cwd=layer, **env)

    return train


def test_caffe_then_finds_the_layer(train):
    code, _, err = train(". ./activate.sh")
    assert code == 0 and "Optimization Done" in err


def test_caffe_does_not_find_the_layer_without(train):
    code, _, err = train(". ./activate.sh; deactivate_my_layer")
    assert code != 0 and "CreateLayer" in err


@pytest.mark.parametrize(
    "source",
    [
        ". my_layer/activate.sh",
        ". ./my_layer/activate.sh",
        ". home/../my_layer/activate.sh",
        'cd /; . "$LAYER/activate.sh"',
        "cd home; . ../my_layer/activate.sh",
    ],
)
def test_sourced_from_anywhere(add, home, shows, source):
    layer, _, _ = add(), add(home), add(name="other_layer")
    assert shows(f"{source}\n{SHOW}", LAYER=layer) == f"{layer}\n"


@only_sh
@pytest.mark.parametrize(
    "source",
    [
        "PATH=$LAYER:$PATH; . activate.sh",
        "CDPATH=$PWD/home; . my_layer/activate.sh",
        "cd() { builtin cd $1; ls; }; . my_layer/activate.sh; unset -f cd",
        "f() { . my_layer/activate.sh; }; f",
        "set -f; IFS=/; . my_layer/activate.sh",
        "exec 3<other_layer/activate.sh; . my_layer/activate.sh",
        "exec 3<home/my_layer/activate.sh; . my_layer/activate.sh",
        "exec 4<my_layer/my_layer.py; . my_layer/activate.sh >log",
    ],
)
def test_sourced_from_anywhere_in_sh(add, home, shell, shows, source):
    if shell == "dash":
        source = source.replace("builtin", "command")
    layer, _, _ = add(), add(home), add(name="other_layer")
    assert shows(f"{source}\n{SHOW}", LAYER=layer) == f"{layer}\n"


@only("fish")
@pytest.mark.parametrize(
    "source",
    [
        "function f; . my_layer/activate.sh; end; f",
        "begin; set -l PYTHONPATH; . my_layer/activate.sh; end",
        "alias cd false; alias realpath false; . my_layer/activate.sh",
    ],
)
def test_sourced_from_anywhere_in_fish(add, shows, source):
    layer = add()
    assert shows(f"{source}; {SHOW}") == f"{layer}\n"


@only("tcsh")
@pytest.mark.parametrize(
    "source",
    [
        "set noglob noclobber; . my_layer/activate.sh",
        "set nonomatch backslash_quote echo_style=none; . my_layer/activate.sh",
        "unset csubstnonl; unset anyerror; . my_layer/activate.sh",
        "alias sh false; alias grep 'grep -n'; alias cd 'cd /'; . my_layer/activate.sh",
        "alias use 'source my_layer/activate.sh'; use",
        "if (1) then; . my_layer/activate.sh; endif",
        "(exit 1); . my_layer/activate.sh",
    ],
)
def test_sourced_from_anywhere_in_tcsh(add, shows, source):
    layer = add()
    script = (
        f"{source}; {SHOW}. my_layer/activate.sh; {SHOW}deactivate_my_layer; {SHOW}"
    )
    assert shows(script, PYTHONPATH="/a") == f"{layer}:/a\n{layer}:/a\n/a\n"


def test_files_that_the_shell_was_started_with_do_not_matter(add, run):
    layer, _ = add(), add(name="other_layer")
    script = f"exec 50<other_layer/activate.sh; {need('dash')} -c '. my_layer/activate.sh; {SHOW}'"
    assert run(need("bash"), "-c", script) == (0, f"{layer}\n", "")


@only("bash", "dash", "zsh", "tcsh")
def test_sourced_in_a_subshell(add, shows):
    layer = add()
    script = f"(. my_layer/activate.sh;printenv PYTHONPATH); {SHOW}"
    assert shows(script) == f"{layer}\nunset\n"


@pytest.mark.parametrize(
    "shell, odd",
    [
        case
        for case in itertools.product(SHELLS, ODD)
        if case != ("tcsh", "line\nbreak")
    ],
    indirect=["shell"],
)
def test_any_path_works(add, shell, shows, tmp_path, odd):
    layer = add(tmp_path / odd)
    script = (
        f'cd "$FROM"; . "$FILE"; {SHOW} . "$FILE"; {SHOW} deactivate_my_layer; {SHOW}'
    )
    name = f"activate.{SUFFIX[shell]}"
    for start, file in [("/", layer / name), (layer, f"./{name}")]:
        out = shows(script, FROM=start, FILE=file, PYTHONPATH="/a")
        assert out == f"{layer}:/a\n{layer}:/a\n/a\n"


def test_any_path_works_in_the_c_locale(add, shows, tmp_path):
    layer = add(tmp_path / " ".join(ODD[:-1]))
    script = (
        f". ./activate.sh; {SHOW} . ./activate.sh; {SHOW} deactivate_my_layer; {SHOW}"
    )
    out = shows(script, cwd=layer, PYTHONPATH="/a", LC_ALL="C")
    assert out == f"{layer}:/a\n{layer}:/a\n/a\n"


@only("tcsh")
@pytest.mark.parametrize(
    "parent, before", [("line\nbreak", "/a"), ("good", "/a:/line\nbreak")]
)
def test_tcsh_refuses_a_line_break(add, shell, run, tmp_path, parent, before):
    layer = add(tmp_path / parent)
    script = f"source activate.csh\necho $status\n{SHOW}"
    code, out, err = run(shell, "-f", "-c", script, cwd=layer, PYTHONPATH=before)
    assert (out, is_one_line(err, "activate.csh")) == (f"1\n{before}\n", True)
    assert "line break" in err


@only_sh
def test_symbolic_links_are_kept(add, shell, shows, tmp_path):
    layer, link = add(tmp_path / "real"), tmp_path / "link"
    link.symlink_to("real")
    assert (
        shows(f"cd link/my_layer; . ./activate.sh; {SHOW}") == f"{link / 'my_layer'}\n"
    )
    told = (
        layer if shell == "dash" else link / "my_layer"
    )  # dash does not tell a file its path
    assert shows(f"cd /; . {link}/my_layer/activate.sh; {SHOW}") == f"{told}\n"


@only("fish", "tcsh")
def test_symbolic_links_are_resolved(add, shows, tmp_path):
    layer, link = add(tmp_path / "real"), tmp_path / "link"
    link.symlink_to("real")
    (tmp_path / "activate.sh").symlink_to(layer / "activate.sh")
    for source in (
        f". {link}/my_layer/activate.sh",
        "cd link/my_layer; . ./activate.sh",
    ):
        assert shows(f"{source}; {SHOW}") == f"{layer}\n"


def test_dots_after_a_symbolic_link_lead_where_the_system_says(add, shows, tmp_path):
    layer, _ = add(tmp_path / "real"), add(tmp_path)
    (tmp_path / "real" / "sub").mkdir()
    (tmp_path / "link").symlink_to("real/sub")
    assert shows(f"cd link; . ../my_layer/activate.sh; {SHOW}") == f"{layer}\n"


def test_sourced_by_files_that_are_called_activate_too(add, shell, shows, tmp_path):
    layers = [add(tmp_path / "layers", name) for name in ("one", "two", "three")]
    lines = "".join(f". {layer}/activate.sh\n" for layer in layers[:2])
    file = f"activate.{SUFFIX[shell]}"
    (tmp_path / file).write_text(translate(lines + SHOW, shell))
    lines = f". ../activate.sh\n. {layers[2]}/activate.sh"
    (tmp_path / "layers" / file).write_text(translate(lines, shell))
    out = shows(f"cd layers; . ./activate.sh; {SHOW}")
    assert out == "{1}:{0}\n{2}:{1}:{0}\n".format(*layers)
    assert shows(f"{shell} {file}") == "{1}:{0}\n".format(*layers)


def test_twice_in_a_row_changes_nothing(add, shows):
    layer = add()
    twice = f". my_layer/activate.sh; cd my_layer; . ./activate.sh; {SHOW} deactivate_my_layer;"
    assert shows(twice + SHOW) == f"{layer}\nunset\n"
    assert shows(twice + SHOW, PYTHONPATH="/a") == f"{layer}:/a\n/a\n"


@only_sh
def test_works_under_strict_settings(add, shows):
    layer = add()
    script = f"set -eu; . my_layer/activate.sh; {SHOW} . my_layer/activate.sh; deactivate_my_layer;"
    assert shows(script + SHOW) == f"{layer}\nunset\n"
    assert shows(script + SHOW, PYTHONPATH="/a") == f"{layer}:/a\n/a\n"
    assert shows(
        f"{script} . my_layer/activate.sh; unset PYTHONPATH; deactivate_my_layer; {SHOW}"
    )


@pytest.mark.parametrize(
    "options",
    [
        "nounset errexit",
        "no_nomatch ksh_arrays",
        "glob_subst glob_assign sh_word_split extended_glob magic_equal_subst",
        "warn_create_global no_unset no_function_argzero chase_links auto_pushd no_clobber",
    ],
)
def test_zsh_options_neither_matter_nor_change(add, run, tmp_path, options):
    need("zsh")
    layer = add(tmp_path / "[ab]*?")
    (tmp_path / "a b c").mkdir()
    script = (
        f"setopt {options}; setopt >before; . ./'[ab]*?'/my_layer/activate.sh; {SHOW}"
    )
    script += ". ./'[ab]*?'/my_layer/activate.sh; deactivate_my_layer; setopt >after"
    done = run(
        "zsh", "-f", "-c", f"{script}; {SHOW} diff before after", PYTHONPATH="~/a:*"
    )
    assert done == (0, f"{layer}:~/a:*\n~/a:*\n", "")


@pytest.mark.parametrize("name", ["zsh-as-sh", "bash-as-sh"])
def test_works_where_sh_is_bash_or_zsh(add, run, tmp_path, name):
    (tmp_path / "sh").symlink_to(shutil.which(need(name.split("-")[0])))
    layer = add()
    script = f". my_layer/activate.sh; {SHOW} deactivate_my_layer; {SHOW}"
    assert run(tmp_path / "sh", "-c", script) == (0, f"{layer}\nunset\n", "")
    code, out, err = run(tmp_path / "sh", "my_layer/activate.sh")
    assert (code, out, is_one_line(err)) == (1, "", True)


def test_a_colon_in_the_path_is_refused(add, shell, run, tmp_path):
    add(tmp_path / "a:b")
    script = translate(f". a:b/my_layer/activate.sh; echo $?; {SHOW}", shell)
    _, out, err = run(shell, *SHELLS[shell], "-c", script, PYTHONPATH="/a")
    assert (out, is_one_line(err, f"activate.{SUFFIX[shell]}")) == ("1\n/a\n", True)
    assert "colon" in err and "a:b" in err


@only_sh
@pytest.mark.parametrize(
    "parent, left", [("good", {"deactivate_my_layer"}), ("a:b", set())]
)
def test_only_deactivate_is_left_behind(add, shell, run, tmp_path, parent, left):
    layer = add(tmp_path / parent)
    helpers = re.findall(
        r"^(\w+)\(\)", (layer / "activate.sh").read_text(), re.MULTILINE
    )
    assert "_caffe_pylayer_activate" in helpers
    names = {
        "bash": "compgen -v; compgen -A function",
        "dash": "set | sed -n 's/=.*//p'",  # it has no list of functions
        "zsh": "print -l ${(k)parameters} ${(k)functions}",
    }[shell]
    script = f"""
        set -- --install 'a b'
        {{ {names}; }} >before
        . {parent}/my_layer/activate.sh 2>log
        {{ {names}; }} >after
        echo "$# $2 $PWD"
        for name in {" ".join(helpers)} deactivate_my_layer; do command -v $name; done
    """
    _, out, _ = run(shell, *SHELLS[shell], "-c", script, PYTHONPATH="/a")
    before, after = (
        (tmp_path / name).read_text().split() for name in ("before", "after")
    )
    assert set(after) - set(before) - {"PIPESTATUS"} == (
        left if shell != "dash" else set()
    )
    assert out.split("\n") == [f"2 a b {tmp_path}", *left, ""]


@pytest.mark.parametrize(
    "shell, names, ours",
    [
        ("fish", "set -n; functions -an", {"deactivate_my_layer"}),
        ("tcsh", "set; alias", {"deactivate_my_layer", "_my_layer"}),
    ],
    indirect=["shell"],
)
def test_only_deactivate_is_left_behind_in(shell, add, run, tmp_path, names, ours):
    add(), add(tmp_path / "a:b")
    lines = [
        "",
        ". a:b/my_layer/activate.sh",
        ". my_layer/activate.sh",
        "deactivate_my_layer",
    ]
    script = f"\n{names}\necho ===\n".join(lines) + f"\n{names}"
    (tmp_path / "script").write_text(translate(script, shell).replace("; ", "\n"))
    _, out, _ = run(shell, *SHELLS[shell], "script", PYTHONPATH="/a")
    before, refused, after, end = (
        {line.split("\t")[0] for line in part.splitlines()}
        for part in out.split("===\n")
    )
    assert after - before == ours
    assert refused | end == before


def test_a_caller_s_arguments_are_not_read(add, home, shell, run, tmp_path):
    layer = add()
    (tmp_path / "use.sh").write_text(
        translate(f". my_layer/activate.sh; {SHOW}", shell)
    )
    assert run(shell, *SHELLS[shell], "use.sh", "--install") == (0, f"{layer}\n", "")
    assert files(home) == []


def test_a_shell_that_does_not_tell_the_path_needs_the_folder(add, run):
    need("dash")
    layer = add()
    script = f'f() {{ eval "$(cat {layer}/activate.sh)"; }}; f; echo $?; {SHOW}'  # no file is open
    assert run("dash", "-c", script, cwd=layer) == (0, f"0\n{layer}\n", "")
    _, out, err = run("dash", "-c", script, cwd="/")
    assert (out, is_one_line(err)) == ("1\nunset\n", True)
    assert "cd into" in err and ". ./activate.sh" in err


@pytest.mark.parametrize(
    "shell, script",
    [
        ("fish", "cat {}/activate.fish | source; set code $status"),
        ("tcsh", "cat {}/activate.csh >copy; source copy; set code = $status"),
    ],
    indirect=["shell"],
)
def test_fish_and_tcsh_without_a_path_need_the_folder(add, shell, shows, run, script):
    layer = add()
    script = translate(f"{script.format(layer)}; echo $code; {SHOW}", shell)
    assert run(shell, *SHELLS[shell], "-c", script, cwd=layer) == (
        0,
        f"0\n{layer}\n",
        "",
    )
    _, out, err = run(shell, *SHELLS[shell], "-c", script)
    assert (out, is_one_line(err, f"activate.{SUFFIX[shell]}")) == ("1\nunset\n", True)
    assert "cd into" in err and f"source activate.{SUFFIX[shell]}" in err


def test_typed_in_a_terminal(add, home, shell, tmp_path):
    layer = add(tmp_path / " ".join(ODD[:-1]))
    show = "printenv PYTHONPATH >>$HOME/seen"
    lines = [
        ". ./activate.sh",
        show,
        ". ./activate.sh",
        show,
        "deactivate_my_layer",
        show,
        "exit",
    ]
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "PYTHONPATH": "/a",
        "LC_ALL": "C.UTF-8",
    }
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(layer)
        os.execvpe(shell, [shell, *SHELLS[shell], "-i"], env)
    os.write(
        terminal, "".join(f"{translate(line, shell)}\n" for line in lines).encode()
    )
    killer = threading.Timer(60, os.kill, (child, signal.SIGKILL))
    killer.start()
    with contextlib.suppress(OSError):  # the terminal is closed
        while os.read(terminal, 4096):
            pass
    killer.cancel()
    assert os.waitpid(child, 0)[1] == 0
    assert os.fsdecode((home / "seen").read_bytes()) == f"{layer}:/a\n{layer}:/a\n/a\n"


# deactivate


@pytest.mark.parametrize(
    "at_the_end, left",
    [
        ("{0}", "unset"),
        ("{0}:/a", "/a"),
        ("/a:{0}", "/a"),
        ("/a:{0}:/b", "/a:/b"),
        ("/a:{0}:/b:{0}:{0}", "/a:/b"),
        (":/a::{0}:/b:", ":/a::/b:"),
        ("{0}/sub:{0}2:/x{0}:{0}", "{0}/sub:{0}2:/x{0}"),
        ("/a:/b", "/a:/b"),
        ("~/a:{0}:*", "~/a:*"),
    ],
)
def test_deactivate_takes_out_the_folder_and_nothing_else(add, shows, at_the_end, left):
    layer = add()
    script = (
        f'. my_layer/activate.sh; export PYTHONPATH="$NOW"; deactivate_my_layer; {SHOW}'
    )
    out = shows(script, NOW=at_the_end.format(layer))
    assert out == left.format(layer) + "\n"


@pytest.mark.parametrize(
    "before", [None, "", "/a", ":", ":/a:", "/b:/b", "/\udce9:/層"]
)
def test_deactivate_gives_back_what_was_there(add, shows, before):
    add()
    out = shows(
        f". my_layer/activate.sh; deactivate_my_layer; {SHOW}", PYTHONPATH=before
    )
    assert out == ("unset" if before is None else before) + "\n"


def test_deactivate_removes_itself(add, shell, run):
    add()
    script = translate(
        ". my_layer/activate.sh; deactivate_my_layer; deactivate_my_layer", shell
    )
    code, out, err = run(shell, *SHELLS[shell], "-c", script)
    assert (code, out) == (1 if shell == "tcsh" else 127, "")
    assert ("Unknown command" if shell == "fish" else "not found") in err


@pytest.mark.parametrize("before", ["{}", "/a:{}:/b", "/a:{}"])
def test_an_entry_of_the_user_stays(add, shows, before):
    before = before.format(add())
    source = ". my_layer/activate.sh\n"
    script = f"{source * 2} {SHOW} deactivate_my_layer; {SHOW}"
    assert shows(script, PYTHONPATH=before) == f"{before}\n{before}\n"


@only("bash", "dash", "zsh", "fish")
def test_an_entry_of_the_user_is_exported(add, shell, shows):
    layer = add()
    assign = "set -g PYTHONPATH $LAYER" if shell == "fish" else "PYTHONPATH=$LAYER"
    assert (
        shows(f"{assign}; . my_layer/activate.sh; {SHOW}", LAYER=layer) == f"{layer}\n"
    )


@pytest.mark.parametrize("before", [None, "/a"])
def test_layers_deactivate_in_any_order(add, shows, before):
    layers = {name: add(name=name) for name in ("layer", "layer_two", "my_layer")}
    end = before or "unset"
    script, expected = "", ""
    for order in itertools.permutations(layers):
        script += "".join(f". {name}/activate.sh\n" for name in layers)
        left = list(reversed(layers))
        for name in order:
            script += f"deactivate_{name}\n{SHOW}"
            left.remove(name)
            paths = [str(layers[other]) for other in left] + (
                [before] if before else []
            )
            expected += (":".join(paths) or end) + "\n"
    assert shows(script, PYTHONPATH=before) == expected


@only("fish")
@pytest.mark.usefixtures("home")
def test_a_universal_variable_of_fish_stays(add, shell, run):
    layer = add()
    script = f"""
        set -Ux PYTHONPATH /a /b
        source my_layer/activate.fish; {SHOW}
        deactivate_my_layer; {SHOW}
        set -U PYTHONPATH /c; {SHOW}
    """
    assert run(shell, "-c", script) == (0, f"{layer}:/a:/b\n/a:/b\n/c\n", "")


def test_another_copy_of_the_layer_takes_the_place(add, shows, tmp_path):
    add(tmp_path / "old")
    new = add(tmp_path / "new")
    script = f". old/my_layer/activate.sh; . new/my_layer/activate.sh; {SHOW} deactivate_my_layer;"
    assert shows(script + SHOW, PYTHONPATH="/a") == f"{new}:/a\n/a\n"


# Running it


FILES = ["activate.sh", "./activate.sh", "../my_layer/activate.sh"]


@only_sh
@pytest.mark.parametrize("file", FILES)
def test_run_without_arguments_it_says_what_to_do(add, shell, run, file):
    code, out, err = run(shell, file, cwd=add())
    assert (code, out, is_one_line(err)) == (1, "", True)
    assert ". ./activate.sh" in err


def test_it_can_be_run(add, run):
    code, out, err = run("./activate.sh", cwd=add())
    assert (code, out, is_one_line(err)) == (1, "", True)


@only_sh
@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help(add, shell, run, option):
    code, out, err = run(shell, "activate.sh", option, cwd=add())
    assert (code, err) == (0, "")
    for word in ["Usage", "Example", "--install", "--uninstall", "deactivate_my_layer"]:
        assert word in out


@only_sh
@pytest.mark.parametrize(
    "arguments", [["--instal"], ["-x"], ["--install", "now"], ["a", "b"]]
)
def test_an_unknown_option_is_refused(add, home, shell, run, arguments):
    code, out, err = run(
        shell, "activate.sh", *arguments, cwd=add(), SHELL=f"/bin/{shell}"
    )
    assert (code, out, is_one_line(err)) == (2, "", True)
    assert " ".join(arguments) in err and "--help" in err
    assert list(home.iterdir()) == []


# --install and --uninstall


@pytest.fixture
def manage(shell, run):
    """manage(layer, option) runs a layer's activate.sh as the user of the shell."""
    runner = shell if SUFFIX[shell] == "sh" else "sh"

    def manage(layer, option, **env):
        return run(
            runner, layer / "activate.sh", option, **{"SHELL": f"/bin/{shell}", **env}
        )

    return manage


@pytest.fixture
def startup(home, shell):
    path = home / STARTUP[shell]
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


@pytest.mark.parametrize(
    "user_shell, file",
    [
        ("/bin/bash", ".bashrc"),
        ("/usr/bin/zsh", ".zshrc"),
        ("/bin/sh", ".profile"),
        ("/bin/dash", ".profile"),
        ("/bin/ksh", ".profile"),
        (None, ".profile"),
        ("/usr/bin/fish", ".config/fish/config.fish"),
        ("/bin/tcsh", ".cshrc"),
        ("/bin/csh", ".cshrc"),
    ],
)
def test_install_chooses_the_file_by_the_user_s_shell(add, home, run, user_shell, file):
    code, out, err = run("./activate.sh", "--install", cwd=add(), SHELL=user_shell)
    assert (code, err) == (0, "")
    assert files(home) == [home / file]
    assert out.splitlines()[0].startswith(str(home / file))
    assert out.splitlines()[1:] == (home / file).read_text().splitlines()


@only_sh
@pytest.mark.parametrize("file", FILES)
def test_install_writes_the_absolute_path(add, home, run, shell, file):
    layer = add()
    assert run(shell, file, "--install", cwd=layer, SHELL="/bin/sh")[0] == 0
    assert (home / ".profile").read_text().count(f"'{layer}/activate.sh'") == 2


def test_install_goes_where_zsh_looks(add, home, run, tmp_path):
    (tmp_path / "zsh dir").mkdir()
    options = {"cwd": add(), "SHELL": "/bin/zsh", "ZDOTDIR": tmp_path / "zsh dir"}
    assert run("./activate.sh", "--install", **options)[0] == 0
    assert (tmp_path / "zsh dir" / ".zshrc").read_text().count("\n") == 1
    assert list(home.iterdir()) == []
    assert run("./activate.sh", "--uninstall", **options)[0] == 0
    assert (tmp_path / "zsh dir" / ".zshrc").read_text() == ""


def test_install_goes_where_fish_looks(add, home, run, tmp_path):
    options = {
        "cwd": add(),
        "SHELL": "/bin/fish",
        "XDG_CONFIG_HOME": tmp_path / "my config",
    }
    assert run("./activate.sh", "--install", **options)[0] == 0
    assert (tmp_path / "my config/fish/config.fish").read_text().count("\n") == 1
    assert list(home.iterdir()) == []


def test_install_goes_where_tcsh_looks(add, home, run):
    (home / ".tcshrc").touch()
    assert run("./activate.sh", "--install", cwd=add(), SHELL="/bin/tcsh")[0] == 0
    assert files(home) == [home / ".tcshrc"]
    assert (home / ".tcshrc").read_text().count("\n") == 1


def start(run, shell, script=SHOW):
    """Starts the shell as a user does, with its start-up file."""
    flags = {"bash": ["-i"], "zsh": ["-i"], "dash": ["-l"]}.get(shell, [])
    code, out, err = run(shell, *flags, "-c", script)
    noise = (
        "bash: cannot set terminal",
        "bash: no job control",
    )  # it has no terminal here
    return code, out, [line for line in err.splitlines() if not line.startswith(noise)]


@pytest.mark.parametrize("odd", ["plain", " ".join(ODD[:-1])])
def test_new_shells_have_the_folder_until_it_is_gone(
    add, manage, run, shell, startup, tmp_path, odd
):
    layer = add(tmp_path / odd)
    startup.write_text("set -e\n" if SUFFIX[shell] == "sh" else "true\n")
    assert manage(layer, "--install")[0] == 0
    again = f"{SHOW} deactivate_my_layer; {SHOW}"
    assert start(run, shell, again) == (0, f"{layer}\nunset\n", [])
    shutil.rmtree(layer)
    assert start(run, shell) == (0, "unset\n", [])


def test_install_twice_adds_one_line(add, manage, startup):
    layer = add()
    startup.write_text("alias a=b")
    manage(layer, "--install")
    text = startup.read_text()
    assert text.count("\n") == 2 and text.startswith("alias a=b\n")
    code, out, err = manage(layer, "--install")
    assert (code, err, startup.read_text()) == (0, "", text)
    assert "already" in out


RC_FILES = [
    b"",
    b"alias a=b\n",
    b"alias a=b",
    b"\n\nx=1\n\n\n",
    b"#\xff\xfe \xc3\x81'\x81\x88\n",
    b"x=1\r\ny=2\r",
    b"a\\nb %s \\",
]


@only_sh
@pytest.mark.parametrize("before", RC_FILES)
def test_uninstall_gives_back_every_byte(add, home, manage, startup, tmp_path, before):
    startup.write_bytes(before)
    layer = add(tmp_path / "it's Áđ \udce9")
    manage(layer, "--install")
    installed = startup.read_bytes()
    assert installed.startswith(before) and installed != before
    code, out, err = manage(layer, "--uninstall", TMPDIR=home)
    assert (code, err, startup.read_bytes()) == (0, "", before)
    assert os.fsencode(out.splitlines()[1]) in installed
    assert files(home) == [startup]


@only_sh
@pytest.mark.parametrize("before", [b"x=1\n", b"x=1"])
@pytest.mark.parametrize("added", [b"y=2\n", b"y=2"])
def test_uninstall_keeps_what_came_later(add, manage, startup, before, added):
    startup.write_bytes(before)
    layer = add()
    manage(layer, "--install")
    startup.write_bytes(startup.read_bytes() + added)
    manage(layer, "--uninstall")
    assert startup.read_bytes() == b"x=1\n" + added


@pytest.mark.parametrize("before", ["", "true\n", "true"])
@pytest.mark.parametrize("order", list(itertools.permutations(["layer", "my_layer"])))
def test_layers_share_a_startup_file(add, manage, run, shell, startup, before, order):
    layers = {name: add(name=name) for name in ("layer", "my_layer")}
    startup.write_text(before)
    for layer in layers.values():
        manage(layer, "--install")
    assert start(run, shell)[1] == "{my_layer}:{layer}\n".format(**layers)
    manage(layers[order[0]], "--uninstall")
    assert start(run, shell)[1] == f"{layers[order[1]]}\n"
    manage(layers[order[1]], "--uninstall")
    assert startup.read_text().rstrip("\n") == before.rstrip("\n")


@only_sh
def test_uninstall_leaves_another_layer_s_line_whole(add, manage, startup):
    layer, other = add(name="layer"), add(name="my_layer")
    startup.write_text("x=1")
    manage(layer, "--install")
    startup.write_text(startup.read_text().rstrip("\n"))
    manage(other, "--install")
    lines = startup.read_text().splitlines(True)
    assert len(lines) == 3
    manage(layer, "--uninstall")
    assert startup.read_text() == lines[0] + lines[2]


@only_sh
def test_uninstall_without_the_line_changes_nothing(add, home, manage, startup):
    layer = add()
    mine = "# caffe-pylayer my_layer\n# if true; fi  # caffe-pylayer my_layer\n"
    code, out, err = manage(layer, "--uninstall")
    assert (code, out.count("\n"), err) == (0, 1, "") and not startup.exists()
    startup.write_text(mine)
    assert manage(layer, "--uninstall")[0] == 0
    assert startup.read_text() == mine


def test_a_moved_folder_is_uninstalled_before_it_is_installed(
    add, manage, startup, tmp_path
):
    layer = add()
    manage(layer, "--install")
    text = startup.read_text()
    layer = layer.rename(tmp_path / "moved")
    code, out, err = manage(layer, "--install")
    assert (code, out, is_one_line(err), startup.read_text()) == (1, "", True, text)
    assert "--uninstall" in err
    assert manage(layer, "--uninstall")[0] == 0
    assert startup.read_text() == ""


@only_sh
def test_links_and_permissions_are_kept(add, home, manage, startup):
    real = home / "dotfiles"
    real.write_text("x=1\n")
    real.chmod(0o640)
    startup.symlink_to(real)
    layer = add()
    for option, lines in [("--install", 2), ("--uninstall", 1)]:
        assert manage(layer, option)[0] == 0
        assert startup.is_symlink() and real.stat().st_mode & 0o777 == 0o640
        assert real.read_text().count("\n") == lines


@pytest.mark.parametrize("option", ["--install", "--uninstall"])
@pytest.mark.parametrize("value", [None, ""])
def test_home_must_be_known(add, run, option, value):
    code, out, err = run("./activate.sh", option, cwd=add(), HOME=value)
    assert (code, out, is_one_line(err)) == (1, "", True)
    assert "HOME is not set" in err


@pytest.mark.parametrize("parent, reason", [("a:b", "colon"), ("a\nb", "line break")])
def test_install_refuses_a_path_that_could_not_work(
    add, home, manage, tmp_path, parent, reason
):
    code, out, err = manage(add(tmp_path / parent), "--install")
    assert (code, out, is_one_line(err)) == (1, "", True)
    assert reason in err and list(home.iterdir()) == []


@only_sh
def test_a_startup_file_that_cannot_be_used_is_one_line(add, manage, startup):
    layer = add()
    startup.symlink_to("missing/folder")
    code, _, err = manage(layer, "--install")
    assert (code, is_one_line(err)) == (1, True) and str(startup) in err
    startup.unlink()
    startup.mkdir()
    code, _, err = manage(layer, "--install")
    assert (code, is_one_line(err)) == (1, True) and str(startup) in err


def broken(tmp_path, program, script):
    """A PATH on which a program is replaced by a script."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / program).write_text(f"#!/bin/sh\n{script}\n")
    (tmp_path / "bin" / program).chmod(0o755)
    return f"{tmp_path / 'bin'}:{os.environ['PATH']}"


@only_sh
@pytest.mark.parametrize("program", ["sed", "mktemp"])
def test_the_startup_file_survives_a_failed_copy(
    add, manage, startup, tmp_path, program
):
    layer = add()
    startup.write_text("x=1\n")
    manage(layer, "--install")
    text = startup.read_text()
    real = shutil.which(program)
    fail = f'case $* in *"$/d"* | "") echo half; exit 1 ;; *) exec {real} "$@" ;; esac'
    code, _, err = manage(layer, "--uninstall", PATH=broken(tmp_path, program, fail))
    assert (code, is_one_line(err), startup.read_text()) == (1, True, text)


@only_sh
def test_the_content_survives_a_full_disk(add, manage, startup, tmp_path):
    layer = add()
    startup.write_text("x=1\n")
    manage(layer, "--install")
    code, _, err = manage(layer, "--uninstall", PATH=broken(tmp_path, "head", "exit 1"))
    assert (code, is_one_line(err)) == (1, True)
    copy = Path(err.split()[-1])
    assert copy.read_text() == "x=1\n"
    copy.unlink()


# The file itself


def test_shellcheck_finds_nothing(add, run):
    assert run(need("shellcheck"), "-s", "sh", "activate.sh", cwd=add()) == (0, "", "")


@pytest.mark.parametrize("name", ["my_layer", "a" * 64])
def test_lines_are_short(add, name):
    texts = [path.read_text() for path in add(name=name).glob("activate.*")]
    assert len(texts) == 3
    assert [
        line for text in texts for line in text.splitlines() if len(line) > 100
    ] == []
