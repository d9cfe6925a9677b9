# Puts this folder at the front of PYTHONPATH, so that Caffe can import the layer:
#     source activate.fish
# For fish 3.1 or newer. To take it off again:
#     deactivate_<<cookiecutter.layer_name>>

set -l name <<cookiecutter.layer_name>>
set -l file (builtin realpath -- (status filename | string collect) | string collect)
set -l folder (string replace -r '/[^/]*$' '' -- $file | string collect)
if not test -f $folder/$name.py
    echo "activate.fish: cannot find $name.py; cd into its folder, then: source activate.fish" >&2
    false
else if string match -q '*:*' -- $folder
    echo "activate.fish: PYTHONPATH cannot hold a path with a colon: $folder" >&2
    false
else
    functions -q deactivate_$name; and deactivate_$name
    set -l ours $folder
    set -l empty
    if contains -- $folder $PYTHONPATH
        set ours
        set -gx PYTHONPATH $PYTHONPATH
    else if test -n "$PYTHONPATH"
        set -gx PYTHONPATH $folder $PYTHONPATH
    else
        set -q PYTHONPATH; and set empty yes
        set -gx PYTHONPATH $folder
    end

    function deactivate_$name -V ours -V empty
        functions -e (status function)
        set -l --path rest
        for entry in $PYTHONPATH
            contains -- $entry $ours; or set -a rest $entry
        end
        set -eg PYTHONPATH
        test "$rest$empty" = "$PYTHONPATH"; or set -gx PYTHONPATH $rest  # it may be universal
    end
end
