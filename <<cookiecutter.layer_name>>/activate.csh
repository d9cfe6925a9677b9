# Puts this folder at the front of PYTHONPATH, so that Caffe can import the layer:
#     source activate.csh
# For tcsh and csh. To take it off again:
#     deactivate_<<cookiecutter.layer_name>>

if ($?_<<cookiecutter.layer_name>>) then
    deactivate_<<cookiecutter.layer_name>>
endif

# In sh, which prints three lines: the new PYTHONPATH, what to take out later, and the old one.
set _caffe_pylayer = ' \
    die() { printf "activate.csh: %s\n" "$1" >&2; exit; } \
    name=<<cookiecutter.layer_name>> \
    folder=$PWD \
    for fd in /proc/$PPID/fd/*; do  # csh has the file open that it sources \
        file=$(readlink "$fd") && [ -f "${file%activate.csh}$name.py" ] && folder=${file%/*} \
    done \
    [ -f "$folder/$name.py" ] || \
        die "cannot find $name.py; cd into its folder first, then: source activate.csh" \
    case $folder in *:*) die "PYTHONPATH cannot hold a path with a colon: $folder" ;; esac \
    [ "$(printf "%s\n" "$folder$PYTHONPATH" | wc -l)" -eq 1 ] || \
        die "csh cannot put a path with a line break on PYTHONPATH" \
    case :$PYTHONPATH: in \
        *":$folder:"*) printf "%s\n" "$PYTHONPATH" : ;;  # nothing: the entry is not ours \
        *) printf "%s\n" "$folder${PYTHONPATH:+:$PYTHONPATH}" "$folder" ;; \
    esac \
    printf "%s\n" "${PYTHONPATH-unset}"'
set _caffe_pylayer = "`\sh -c "'$_caffe_pylayer:q'"`"  # these quotes let every character through
if ($#_caffe_pylayer == 0) then
    unset _caffe_pylayer
    exit 1
endif

setenv PYTHONPATH "$_caffe_pylayer[1]"
set _<<cookiecutter.layer_name>> = \
    ('printenv PYTHONPATH | tr : "\n" | LC_ALL=C grep -vxF "$0" | paste -sd : -' \
    $_caffe_pylayer[2-]:q)
unset _caffe_pylayer
# An empty line is dropped, so that an empty PYTHONPATH of before makes two words, not three.
alias deactivate_<<cookiecutter.layer_name>> \
    'setenv PYTHONPATH "`\sh -c' \
    '"'\''$_<<cookiecutter.layer_name>>:q'\''"`";' \
    'if ("x$PYTHONPATH" == x &&' \
    '$#_<<cookiecutter.layer_name>> == 3)' \
    'unsetenv PYTHONPATH;' \
    'unset _<<cookiecutter.layer_name>>;' \
    'unalias deactivate_<<cookiecutter.layer_name>>'
