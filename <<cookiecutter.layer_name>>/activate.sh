#!/bin/sh
# Puts this folder first on PYTHONPATH, so that Caffe can import the layer:
#     . ./activate.sh             from any folder in bash and zsh, from this one in sh
#     deactivate_<<cookiecutter.layer_name>>
#     ./activate.sh >>~/.bashrc   for every new shell: prints the line for your $SHELL
# shellcheck disable=SC2015,SC2016,SC2030,SC2031,SC2154,SC3028

_caffe_pylayer() ( # prints what to eval
    name=<<cookiecutter.layer_name>> file="${_caffe_pylayer_file:-${BASH_SOURCE:-$0}}" CDPATH=''
    if [ -n "${ZSH_VERSION-}" ]; then
        emulate sh && zmodload zsh/parameter && file=${funcsourcetrace%:*}
    fi
    [ -f "${file%activate.sh}$name.py" ] || file='' # not told: the current folder
    case $file in *..*) links=-P ;; *) links=-L ;; esac
    fail() { printf 'activate.sh: %s\n' "$1" >&2 && exit 1; }
    command cd "$links" -- "${file%activate.sh}." >/dev/null 2>&1 || :
    [ -f "$name.py" ] ||
        fail "cannot find $name.py; cd into its folder first, then: . ./activate.sh"
    case $PWD in *:*) fail "PYTHONPATH cannot hold a path with a colon: $PWD" ;; esac

    quote() { printf '%s\n' "$1" | LC_ALL=C \sed "s/'/'\\\\''/g;1s/^/'/;\$s/\$/'/"; }
    if command -v "deactivate_$name" >/dev/null; then "deactivate_$name"; fi
    printf '%s\n' "deactivate_$name() {" "unset -f deactivate_$name"
    if case :${PYTHONPATH-}: in *":$PWD:"*) false ;; esac then # else it is not ours
        printf '%s\n' "set -- \":\${PYTHONPATH-}:\" $(quote ":$PWD:")" \
        'until [ "$1" = "${1#*"$2"}" ]; do set -- "${1%%"$2"*}:${1#*"$2"}" "$2"; done' \
        'set -- "${1#:}"' 'PYTHONPATH="${1%:}"'
        [ -z "${PYTHONPATH-unset}" ] || echo '[ -n "$PYTHONPATH" ] || unset PYTHONPATH'
        PYTHONPATH=$PWD${PYTHONPATH:+:$PYTHONPATH}
    fi
    printf '%s\n' '}' "PYTHONPATH=$(quote "$PYTHONPATH")" 'export PYTHONPATH'
)

if [ "${ZSH_EVAL_CONTEXT-toplevel}" != toplevel ] ||
    [ ! -f "${0%activate.sh}<<cookiecutter.layer_name>>.py" ]; then # it is sourced
    eval "unset -f _caffe_pylayer; unset _caffe_pylayer_file
        $(_caffe_pylayer || echo false)"
    return
fi
PYTHONPATH='' _caffe_pylayer_file='' pre='' && eval "$(_caffe_pylayer || echo exit 1)"
case ${SHELL-}:$PYTHONPATH in
*[[:cntrl:]]*) echo 'activate.sh: no line for a path with a line break' >&2 && exit 1 ;;
*bash:* | *zsh:*) row="if [ -r '&.sh' ]; then . '&.sh'; fi" ;;
*fish:*) row="if test -r '&.fish'; source '&.fish'; end" pre='s/\\/&&/g' ;;
*csh:*) row="test -r '&.csh' \&\& set _caffe_pylayer_file = '&.csh'"
    row="$row \&\& source '&.csh'" pre='s/!/\\&/g' ;;
*) row="if [ -r '&.sh' ]; then _caffe_pylayer_file='&.sh'; . '&.sh'; fi" ;;
esac
printf '\n%s/activate\n' "$PYTHONPATH" | LC_ALL=C sed "$pre;s/'/'\\\\''/g;s|..*|$row|"
[ ! -t 1 ] || echo 'Now: . ./activate.sh; in new shells: ./activate.sh >>~/.bashrc' >&2
