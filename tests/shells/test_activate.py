"""activate.sh, .fish and .csh: a layer's folder on PYTHONPATH and off again, in real shells.

The scripts are written for bash and zsh; `translate` makes those that every shell runs fit for the
others: fish and tcsh have words of their own, dash and tcsh source a file only in its folder.
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

from support.project import PROJECT, WHOLE
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
TELLING = ["bash", "zsh", "fish"]  # a sourced file can ask where it is
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
ALL_ODD = " ".join(ODD[:-1])
# Alone, where that matters: `make proof` takes each of them (WHOLE=yes).
ALONE = ODD if WHOLE else ["-n", "~", "line\nbreak"]
BAKED = {}


@pytest.fixture(params=list(SHELLS))
def shell(request):
    return need(request.param)


def only(*shells):
    return pytest.mark.parametrize("shell", shells, indirect=True)


only_telling = only(*TELLING)
only_sh = only("bash", "dash", "zsh")
only_training = only(*(SHELLS if WHOLE else ["bash"]))


def translate(script, shell):
    """`. ./activate.sh`, `$?` and `export NAME=value` in the words of another shell.

    One command a line, because tcsh looks for the aliases of a line before it runs the line.
    """
    if shell not in TELLING:
        back = "$owd:q" if shell == "tcsh" else '"$OLDPWD"'
        script = re.sub(
            r"(^|[\n (])\. (\S+)/activate\.sh",
            lambda found: (
                found[0]
                if found[2] == "."
                else f"{found[1]}cd {found[2]}; . ./activate.sh; cd {back}"
            ),
            script,
        )
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
            out = tmp_path_factory.mktemp("baked")
            BAKED[name] = bake(layer_name=name, checks="installed", out=out)
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
    layer = add(tmp_path / ALL_ODD)
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


@only_training
@pytest.mark.caffe
def test_caffe_then_finds_the_layer(train):
    code, _, err = train(". ./activate.sh")
    assert code == 0 and "Optimization Done" in err


@only_training
@pytest.mark.caffe
def test_caffe_does_not_find_the_layer_without(train):
    code, _, err = train(". ./activate.sh; deactivate_my_layer")
    assert code != 0 and "CreateLayer" in err


@only_telling
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


@only("bash", "zsh")
@pytest.mark.parametrize(
    "source",
    [
        "PATH=$LAYER:$PATH; . activate.sh",
        "CDPATH=$PWD/home; . my_layer/activate.sh",
        "cd() { builtin cd $1; ls; }; . my_layer/activate.sh; unset -f cd",
        "f() { . my_layer/activate.sh; }; f",
        "set -f; IFS=/; . my_layer/activate.sh",
    ],
)
def test_sourced_from_anywhere_in_bash_and_zsh(add, home, shows, source):
    layer, _, _ = add(), add(home), add(name="other_layer")
    assert shows(f"{source}\n{SHOW}", LAYER=layer) == f"{layer}\n"


@only("dash")
@pytest.mark.parametrize(
    "source",
    [
        "CDPATH=$PWD/home; . ./activate.sh",
        "cd() { command cd $1; ls; }; . ./activate.sh; unset -f cd",
        "f() { . ./activate.sh; }; f",
        "set -f; IFS=/; . ./activate.sh",
        "PATH=$PWD:$PATH; . activate.sh",
    ],
)
def test_sourced_in_its_folder_in_sh(add, shows, source):
    layer = add()
    add(layer / "home")
    assert shows(f"{source}\n{SHOW}", cwd=layer) == f"{layer}\n"


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
        "set noglob noclobber; . ./activate.sh",
        "set nonomatch backslash_quote echo_style=none; . ./activate.sh",
        "unset csubstnonl; unset anyerror; . ./activate.sh",
        "alias sh false; alias grep 'grep -n'; alias cd 'cd /'; . ./activate.sh",
        "alias use 'source activate.sh'; use",
        "if (1) then; . ./activate.sh; endif",
        "(exit 1); . ./activate.sh",
    ],
)
def test_sourced_in_its_folder_in_tcsh(add, shows, source):
    layer = add()
    script = f"{source}; {SHOW}. ./activate.sh; {SHOW}deactivate_my_layer; {SHOW}"
    out = shows(script, cwd=layer, PYTHONPATH="/a")
    assert out == f"{layer}:/a\n{layer}:/a\n/a\n"


@only("bash", "dash", "zsh", "tcsh")
def test_sourced_in_a_subshell(add, shows):
    layer = add()
    script = f"(. ./activate.sh;printenv PYTHONPATH); {SHOW}"
    assert shows(script, cwd=layer) == f"{layer}\nunset\n"


@pytest.mark.parametrize(
    "shell, odd",
    [
        case
        for case in itertools.product(SHELLS, [*ALONE, ALL_ODD])
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
    starts = [(layer, f"./{name}")] + [("/", layer / name)] * (shell in TELLING)
    for start, file in starts:
        out = shows(script, FROM=start, FILE=file, PYTHONPATH="/a")
        assert out == f"{layer}:/a\n{layer}:/a\n/a\n"


def test_any_path_works_in_the_c_locale(add, shows, tmp_path):
    layer = add(tmp_path / ALL_ODD)
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


@only("bash", "dash", "zsh", "tcsh")
def test_symbolic_links_are_kept(add, shell, shows, tmp_path):
    add(tmp_path / "real")
    link = tmp_path / "link"
    link.symlink_to("real")
    for source in [
        "cd link/my_layer; . ./activate.sh",
        f"cd /; . {link}/my_layer/activate.sh",
    ]:
        assert shows(f"{source}; {SHOW}") == f"{link / 'my_layer'}\n"


@only("fish")
def test_symbolic_links_are_resolved(add, shows, tmp_path):
    layer, link = add(tmp_path / "real"), tmp_path / "link"
    link.symlink_to("real")
    (tmp_path / "activate.sh").symlink_to(layer / "activate.sh")
    for source in (
        f". {link}/my_layer/activate.sh",
        "cd link/my_layer; . ./activate.sh",
    ):
        assert shows(f"{source}; {SHOW}") == f"{layer}\n"


@only_telling
def test_dots_after_a_symbolic_link_lead_where_the_system_says(add, shows, tmp_path):
    layer, _ = add(tmp_path / "real"), add(tmp_path)
    (tmp_path / "real" / "sub").mkdir()
    (tmp_path / "link").symlink_to("real/sub")
    assert shows(f"cd link; . ../my_layer/activate.sh; {SHOW}") == f"{layer}\n"


@only_telling
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
    code, out, err = run(tmp_path / "sh", "my_layer/activate.sh", SHELL="/bin/bash")
    assert (code, out, err) == (0, line_for("bash", layer), "")


def test_a_colon_in_the_path_is_refused(add, shell, run, tmp_path):
    layer = add(tmp_path / "a:b")
    script = translate(f". ./activate.sh; echo $?; {SHOW}", shell)
    command = [shell, *SHELLS[shell], "-c", script]
    _, out, err = run(*command, cwd=layer, PYTHONPATH="/a")
    assert (out, is_one_line(err, f"activate.{SUFFIX[shell]}")) == ("1\n/a\n", True)
    assert "colon" in err and "a:b" in err


@only_sh
@pytest.mark.parametrize(
    "parent, left", [("good", {"deactivate_my_layer"}), ("a:b", set())]
)
def test_only_deactivate_is_left_behind(add, shell, run, tmp_path, parent, left):
    layer = add(tmp_path / parent)
    helpers = re.findall(
        r"^ *(\w+)\(\)", (layer / "activate.sh").read_text(), re.MULTILINE
    )
    assert "_caffe_pylayer" in helpers
    names = {
        "bash": "compgen -v; compgen -A function",
        "dash": "set | sed -n 's/=.*//p'",  # it has no list of functions
        "zsh": "print -l ${(k)parameters} ${(k)functions}",
    }[shell]
    script = f"""
        set -- --option 'a b'
        {{ {names}; }} >before
        cd {parent}/my_layer; . ./activate.sh 2>"$OLDPWD/log"; cd "$OLDPWD"
        {{ {names}; }} >after
        echo "$# $2 $PWD"
        for name in {" ".join(helpers)} deactivate_my_layer; do command -v $name; done
    """
    _, out, _ = run(shell, *SHELLS[shell], "-c", script, PYTHONPATH="/a")
    before, after = (
        (tmp_path / name).read_text().split() for name in ("before", "after")
    )
    assert set(after) - set(before) - {"OLDPWD", "PIPESTATUS"} == (
        left if shell != "dash" else set()
    )
    assert out.split("\n") == [f"2 a b {tmp_path}", *left, ""]


@pytest.mark.parametrize(
    "shell, names, ours",
    [
        ("fish", "set -n; functions -an", {"deactivate_my_layer"}),
        ("tcsh", "set; alias", {"deactivate_my_layer", "_deactivate_my_layer"}),
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
    assert run(shell, *SHELLS[shell], "use.sh", "run") == (0, f"{layer}\n", "")
    assert files(home) == []


@only("dash", "tcsh")
def test_a_shell_that_does_not_tell_the_path_needs_the_folder(add, shell, run):
    add()
    file = f"my_layer/activate.{SUFFIX[shell]}"
    source, status = (". ", "$?") if shell == "dash" else ("source ", "$status")
    script = f"{source}{file}\necho {status}\n{SHOW}"
    _, out, err = run(shell, *SHELLS[shell], "-c", script)
    assert (out, is_one_line(err, file.split("/")[1])) == ("1\nunset\n", True)
    assert "cannot find my_layer.py" in err and "cd into its folder first" in err
    assert f"{source}{'./' * (shell == 'dash')}activate.{SUFFIX[shell]}\n" in err


@only_telling
def test_a_copy_elsewhere_needs_the_folder(add, shell, shows, run):
    layer = add()
    file = f"activate.{SUFFIX[shell]}"
    script = translate(f"cat {layer}/{file} >copy; . ./copy; echo $?; {SHOW}", shell)
    _, out, err = run(shell, *SHELLS[shell], "-c", script)
    assert (out, is_one_line(err, file)) == ("1\nunset\n", True)
    assert "cd into its folder first" in err


def test_typed_in_a_terminal(add, home, shell, tmp_path):
    layer = add(tmp_path / ALL_ODD)
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


AT_THE_END = {  # what is left of it
    "{0}": "unset",
    "{0}:/a": "/a",
    "/a:{0}": "/a",
    "/a:{0}:/b": "/a:/b",
    "/a:{0}:/b:{0}:{0}": "/a:/b",
    ":/a::{0}:/b:": ":/a::/b:",
    "{0}/sub:{0}2:/x{0}:{0}": "{0}/sub:{0}2:/x{0}",
    "/a:/b": "/a:/b",
    "~/a:{0}:*": "~/a:*",
}


def test_deactivate_takes_out_the_folder_and_nothing_else(add, shows):
    layer, script, env = add(), "", {}
    for i, at_the_end in enumerate(AT_THE_END):
        env[f"NOW{i}"] = at_the_end.format(layer)
        script += f'. my_layer/activate.sh; export PYTHONPATH="$NOW{i}"; '
        script += f"deactivate_my_layer; {SHOW}"
    lines = [left.format(layer) for left in AT_THE_END.values()]
    assert shows(script, **env).splitlines() == lines


def test_deactivate_gives_back_what_was_there(add, shows):
    """As the shell began with it, or was given it later."""
    add()
    befores = ["", "/a", ":", ":/a:", "/b:/b", "/\udce9:/層"]
    again = f". my_layer/activate.sh; deactivate_my_layer; {SHOW}"
    assert shows(again) == "unset\n"
    script = again + "".join(
        f'export PYTHONPATH="$BEFORE{i}"; {again}' for i in range(len(befores))
    )
    env = {f"BEFORE{i}": before for i, before in enumerate(befores)}
    lines = shows(script, PYTHONPATH="/\udce9:/層", **env).splitlines()
    assert lines == [befores[-1], *befores]


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


# Run, not sourced: the line for new shells


def quoted(shell, path):
    """The path as a word in single quotes, in the words of the shell."""
    text = str(path)
    if shell == "fish":
        text = text.replace("\\", "\\\\")
    text = text.replace("'", "'\\''")
    return "'" + (text.replace("!", "\\!") if shell == "tcsh" else text) + "'"


def line_for(shell, layer):
    """What ./activate.sh prints: an end to a last line that has none, and the line."""
    file = quoted(shell, layer / f"activate.{SUFFIX[shell]}")
    line = {
        "bash": f"if [ -r {file} ]; then . {file}; fi",
        "zsh": f"if [ -r {file} ]; then . {file}; fi",
        "dash": f"if [ -r {file} ]; then _caffe_pylayer_file={file}; . {file}; fi",
        "fish": f"if test -r {file}; source {file}; end",
        "tcsh": f"test -r {file} && set _caffe_pylayer_file = {file} && source {file}",
    }[shell]
    return f"\n{line}\n"


@pytest.fixture
def printed(shell, run):
    """printed(layer) is what a user of the shell gets from ./activate.sh."""

    def printed(layer):
        code, out, err = run("./activate.sh", cwd=layer, SHELL=f"/bin/{shell}")
        assert (code, err) == (0, "")
        return out

    return printed


@pytest.mark.parametrize(
    "user_shell, shell",
    [
        ("/bin/bash", "bash"),
        ("/usr/bin/zsh", "zsh"),
        ("/bin/sh", "dash"),
        ("/bin/dash", "dash"),
        ("/bin/ksh", "dash"),
        (None, "dash"),
        ("/usr/bin/fish", "fish"),
        ("/bin/tcsh", "tcsh"),
        ("/bin/csh", "tcsh"),
    ],
)
def test_the_line_is_for_the_user_s_shell(add, run, user_shell, shell):
    layer = add()
    for before in (None, "", "/a", f"/a:{layer}"):
        done = run("./activate.sh", cwd=layer, SHELL=user_shell, PYTHONPATH=before)
        assert done == (0, line_for(shell, layer), "")


@only_sh
@pytest.mark.parametrize(
    "file", ["activate.sh", "./activate.sh", "../my_layer/activate.sh"]
)
def test_any_sh_prints_it(add, shell, run, file):
    layer = add()
    for command in ([shell], [shell, "-eu"]):
        done = run(*command, file, cwd=layer, SHELL="/bin/bash")
        assert done == (0, line_for("bash", layer), "")


@pytest.mark.parametrize("odd", ["plain", *ALONE[:-1], ALL_ODD])
def test_the_line_activates(add, printed, shell, shows, tmp_path, odd):
    layer = add(tmp_path / odd)
    line = printed(layer)
    assert line == line_for(shell, layer)
    (tmp_path / "lines").write_bytes(os.fsencode(line))
    script = f"{'source' if shell in ('fish', 'tcsh') else '.'} ./lines; {SHOW}"
    script = f"{script * 2} deactivate_my_layer; {SHOW}".replace("; ", "\n")
    assert shows(script, PYTHONPATH="/a") == f"{layer}:/a\n{layer}:/a\n/a\n"


@only("dash")
def test_the_line_leaves_no_variable(add, printed, shows, tmp_path):
    line = printed(add())
    (tmp_path / "lines").write_text(line)
    assert "_caffe_pylayer_file=" in line
    assert "_caffe_pylayer" not in shows(". ./lines; set")


@pytest.mark.parametrize(
    "shell, script",
    [(shell, 'eval "$(./activate.sh)"') for shell in ("bash", "dash", "zsh")]
    + [("fish", "./activate.sh | source"), ("tcsh", 'eval "`./activate.sh`"')],
    indirect=["shell"],
)
def test_the_line_can_be_evaluated(add, shell, run, script):
    layer = add()
    command = [shell, *SHELLS[shell], "-c", f"{script}\n{SHOW}"]
    done = run(*command, cwd=layer, SHELL=f"/bin/{shell}")
    assert done == (0, f"{layer}\n", "")


@pytest.mark.parametrize("before", ["", "true\n", "true"])
@pytest.mark.parametrize("odd", ["plain", ALL_ODD])
def test_new_shells_have_the_folder_until_it_is_gone(
    add, run, shell, startup, tmp_path, before, odd
):
    layer = add(tmp_path / odd)
    startup.write_text("set -e\n" * (SUFFIX[shell] == "sh") + before)
    append(run, shell, layer, startup)
    again = f"{SHOW} deactivate_my_layer; {SHOW}"
    assert start(run, shell, again) == (0, f"{layer}\nunset\n", [])
    shutil.rmtree(layer)
    assert start(run, shell) == (0, "unset\n", [])


def test_layers_share_a_startup_file(add, run, shell, startup):
    layers = [add(name=name) for name in ("layer", "my_layer")]
    for layer in [*layers, *layers]:
        append(run, shell, layer, startup)
    assert start(run, shell) == (0, "{1}:{0}\n".format(*layers), [])


@pytest.fixture
def startup(home, shell):
    path = home / STARTUP[shell]
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def append(run, shell, layer, startup):
    """`./activate.sh >>STARTUP`, as the user of the shell."""
    script = './activate.sh >>"$STARTUP"'
    env = {"SHELL": f"/bin/{shell}", "STARTUP": startup}
    assert run("sh", "-c", script, cwd=layer, **env) == (0, "", "")


def start(run, shell, script=SHOW):
    """Starts the shell as a user does, with its start-up file."""
    flags = {"bash": ["-i"], "zsh": ["-i"], "dash": ["-l"]}.get(shell, [])
    code, out, err = run(shell, *flags, "-c", script)
    noise = (
        "bash: cannot set terminal",
        "bash: no job control",
    )  # it has no terminal here
    return code, out, [line for line in err.splitlines() if not line.startswith(noise)]


@pytest.mark.parametrize("argument", ["--install", "--uninstall", "--help", "x"])
def test_no_file_is_written(add, home, run, shell, startup, argument):
    layer = add()
    startup.write_text("true")
    before = [(path, path.read_bytes()) for path in [*files(home), *files(layer)]]
    done = run("./activate.sh", argument, cwd=layer, SHELL=f"/bin/{shell}")
    assert done == (0, line_for(shell, layer), "")
    assert before == [
        (path, path.read_bytes()) for path in [*files(home), *files(layer)]
    ]


@pytest.mark.parametrize("parent, reason", [("a:b", "colon"), ("a\nb", "line break")])
def test_no_line_for_a_path_that_could_not_work(
    add, printed, run, shell, tmp_path, parent, reason
):
    layer = add(tmp_path / parent)
    code, out, err = run("./activate.sh", cwd=layer, SHELL=f"/bin/{shell}")
    assert (code, out, is_one_line(err)) == (1, "", True) and reason in err


def test_a_terminal_gets_a_hint(add, run):
    layer = add()
    ours, theirs = pty.openpty()
    done = subprocess.run(
        ["./activate.sh"],
        cwd=layer,
        env={"PATH": os.environ["PATH"], "SHELL": "/bin/bash"},
        stdout=theirs,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
    )
    os.close(theirs)
    shown = b""
    with contextlib.suppress(OSError):  # the terminal is closed
        while part := os.read(ours, 9999):
            shown += part
    os.close(ours)
    shown = shown.decode().replace("\r\n", "\n")
    assert (done.returncode, shown) == (0, line_for("bash", layer))
    assert ". ./activate.sh" in done.stderr and ">>~/.bashrc" in done.stderr
    assert done.stderr.count("\n") == 1


# The file itself


def test_shellcheck_finds_nothing(add, run):
    assert run(need("shellcheck"), "-s", "sh", "activate.sh", cwd=add()) == (0, "", "")


@pytest.mark.parametrize("file, most", [("sh", 50), ("fish", 30), ("csh", 30)])
def test_is_short(add, file, most):
    lines = (add() / f"activate.{file}").read_text().splitlines()
    assert 0 < len(lines) <= most
    assert [line for line in lines if len(line) > 88] == []
