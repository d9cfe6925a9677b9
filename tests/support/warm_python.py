"""Runs Python programs one after the other, each in a fork of a process that has imported much.

For each line [folder, arguments, environment] in stdin it runs `python3 arguments` and prints
[exit code, stdout, stderr]; the arguments begin with -m and a module, or with a folder that has a
__main__.py. Its own arguments are the modules to import.
"""

import importlib
import json
import os
import runpy
import sys
import tempfile
import traceback

for module in sys.argv[1:]:
    importlib.import_module(module)


def run(folder, arguments, environment):
    """Do what `python3 arguments` does in the folder; return the exit code."""
    os.chdir(folder)
    os.environ.update(environment)
    paths = environment.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:1] = filter(None, paths)
    try:
        if arguments[0] == "-m":
            sys.path.insert(0, os.getcwd())
            sys.argv[:] = arguments[1:]
            runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
        else:
            sys.argv[:] = arguments
            runpy.run_path(arguments[0], run_name="__main__")  # puts the folder first
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return int(end.code or 0)
        print(end.code, file=sys.stderr)
        return 1
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


for line in iter(sys.stdin.readline, ""):
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = os.fork()
        if not child:
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(out.fileno(), 1)
            os.dup2(err.fileno(), 2)
            code = 1
            try:
                code = run(*json.loads(line))
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        _, status = os.waitpid(child, 0)
        said = []
        for stream in (out, err):
            stream.seek(0)
            said.append(stream.read().decode("utf-8", "replace"))
        ended = (
            -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
        )
        print(json.dumps([ended, *said]), flush=True)
