# Puts this folder first on PYTHONPATH, so that Caffe can import the layer:
#     source activate.fish    in fish 3.1 or newer
#     deactivate_<<cookiecutter.layer_name>>
# ./activate.sh prints the line that does so in every new shell.

set -l name <<cookiecutter.layer_name>>
set -l file (builtin realpath -- (status filename | string collect) | string collect)
set -l ours (string replace -r '/[^/]*$' '' -- $file | string collect)
if not test -f $ours/$name.py
    echo "activate.fish: cannot find $name.py; cd into its folder first, then:" \
        "source activate.fish" >&2 && false
else if string match -q '*:*' -- $ours
    echo "activate.fish: PYTHONPATH cannot hold a path with a colon: $ours" >&2 && false
else
    functions -q deactivate_$name && deactivate_$name
    contains -- $ours $PYTHONPATH && set ours # the entry is not ours
    set -l empty (set -q PYTHONPATH && test -z "$PYTHONPATH" && echo yes)
    set -l before $PYTHONPATH
    test -n "$PYTHONPATH" || set before
    set -gx PYTHONPATH $ours $before
    function deactivate_$name -V ours -V empty
        functions -e (status function)
        set -l --path rest
        for entry in $PYTHONPATH
            contains -- $entry $ours || set -a rest $entry
        end
        set -eg PYTHONPATH
        test "$rest$empty" = "$PYTHONPATH" || set -gx PYTHONPATH $rest # or universal
    end
end
