"""The command line, however it is started.

caffe-pylayer COMMAND, python3 -m caffe_pylayer COMMAND, and, without installing,
python3 CLONE/caffe_pylayer COMMAND are the same.
"""

import os
import sys

if (
    not __package__
):  # the last of them: Python has put the package's own folder on sys.path
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))


def main():
    """Run the command; return the exit code."""
    try:
        os.getcwd()
    except OSError:
        sys.exit("caffe-pylayer: the current folder was deleted: change to another one")
    sys.dont_write_bytecode = True
    from caffe_pylayer.commands import search_path

    search_path.put_python_first()
    from caffe_pylayer.commands import command_line

    return command_line.main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
