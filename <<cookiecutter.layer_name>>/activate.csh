# Puts this folder first on PYTHONPATH, so that Caffe can import the layer:
#     source activate.csh         in tcsh and csh; cd here first
#     deactivate_<<cookiecutter.layer_name>>
#     ./activate.sh >>~/.cshrc    for every new shell: prints the line for your $SHELL

if ($?_deactivate_<<cookiecutter.layer_name>>) eval deactivate_<<cookiecutter.layer_name>>
if (! $?_caffe_pylayer_file) set _caffe_pylayer_file = activate.csh
# sh prints the new PYTHONPATH, what to take out later (: for nothing), the old one
set _caffe_pylayer = (' \
    fail() { printf "activate.csh: %s\n" "$1" >&2; exit; } \
    name=<<cookiecutter.layer_name>> advice="cd into its folder first, then: source activate.csh" \
    cd "${0%activate.csh}." && [ -f $name.py ] || fail "cannot find $name.py; $advice" \
    case $PWD in *:*) fail "PYTHONPATH cannot hold a path with a colon: $PWD" ;; esac \
    [ "$(printf "%s\n" "$PWD$PYTHONPATH" | wc -l)" -eq 1 ] || \
        fail "csh cannot put a path with a line break on PYTHONPATH" \
    set -- "$PWD${PYTHONPATH:+:$PYTHONPATH}" "$PWD" \
    case :$PYTHONPATH: in *":$PWD:"*) set -- "$PYTHONPATH" : ;; esac \
    printf "%s\n" "$@" "${PYTHONPATH-unset}"' $_caffe_pylayer_file:q)
set _caffe_pylayer = "`\sh -c "'$_caffe_pylayer:q'"`"
if ($#_caffe_pylayer == 0) eval 'unset _caffe_pylayer*; exit 1'
setenv PYTHONPATH "$_caffe_pylayer[1]"
set _deactivate_<<cookiecutter.layer_name>> = \
    ('printenv PYTHONPATH | tr : "\n" | LC_ALL=C grep -vxF "$0" | paste -sd : -' \
    $_caffe_pylayer[2-]:q)  # no third word where the old one was empty
unset _caffe_pylayer*
alias deactivate_<<cookiecutter.layer_name>> 'setenv PYTHONPATH' \
    '"`\sh -c "'\''$_deactivate_<<cookiecutter.layer_name>>:q'\''"`"; if ("x$PYTHONPATH" == x' \
    '&& $#_deactivate_<<cookiecutter.layer_name>> == 3) unsetenv PYTHONPATH;' \
    'unset _deactivate_<<cookiecutter.layer_name>>; unalias deactivate_<<cookiecutter.layer_name>>'
