"""The commands of caffe-pylayer, a module for each; command_line.py has the table of them.

A command's module has a docstring, which is its help, EXAMPLES, and main(parser, given), which
adds the command's options to the parser, does what the list `given` says and returns the exit code.
"""


class CommandError(Exception):
    """Why a command cannot do what it was asked for; the exit code is then 1.

    The message is all that the user sees: what is wrong, and what to type.
    """


def words_of(error):
    """Return what an EnvironmentError says, with the file that it is about."""
    if error.filename:
        return "%s: %s" % (error.filename, error.strerror)
    return str(error)
