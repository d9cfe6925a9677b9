"""Runs pytest again and again, each time in a fork of a process that has imported what takes long.

For each line [folder, arguments, environment, paths] in stdin it prints [exit code, output]; paths
go first on sys.path. Its own arguments are the modules to import.
"""

import importlib
import json
import os
import sys
import tempfile

import pytest

for module in sys.argv[1:]:
    importlib.import_module(module)


def run(folder, arguments, environment, paths):
    """Run pytest, as `python3 -m pytest` in the folder would."""
    os.chdir(folder)
    os.environ.update(environment)
    sys.path[:1] = [os.getcwd(), *paths]
    sys.argv[:] = ["pytest", *arguments]
    return pytest.main(arguments)


for line in iter(sys.stdin.readline, ""):
    with tempfile.TemporaryFile() as output:
        child = os.fork()
        if not child:
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(output.fileno(), 1)
            os.dup2(output.fileno(), 2)
            code = 1
            try:
                code = int(run(*json.loads(line)))
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        _, status = os.waitpid(child, 0)
        code = (
            -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
        )
        output.seek(0)
        print(json.dumps([code, output.read().decode("utf-8", "replace")]), flush=True)
