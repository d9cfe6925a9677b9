#!/bin/sh
# Puts this folder at the front of PYTHONPATH, so that Caffe can import the layer:
#     . ./activate.sh
# For bash, zsh and sh; others have activate.fish and activate.csh. ./activate.sh --help says more.
# shellcheck disable=SC2012,SC3013,SC3028,SC3043  # every sh has -ef and local, bash has BASH_SOURCE

_caffe_pylayer_quote() {
    printf "'%s'" "$(printf '%s\n' "$1" | LC_ALL=C \sed "${2-}s/'/'\\\\''/g")"
}

_caffe_pylayer_folder() {  # of the file $1, keeping symbolic links unless .. comes after one
    local file folder
    case $1 in /*) file=$1 ;; *) file=./$1 ;; esac
    folder=$(\cd "${file%/*}/" >/dev/null 2>&1 && \pwd) || :
    [ "$folder/activate.sh" -ef "$file" ] ||
        folder=$(\cd -P "${file%/*}/" >/dev/null 2>&1 && \pwd -P) || :
    if ! [ -f "$folder/<<cookiecutter.layer_name>>.py" ]; then
        printf 'activate.sh: cannot find %s; cd into its folder first, then: . ./activate.sh\n' \
            <<cookiecutter.layer_name>>.py >&2
    elif [ "$folder" != "${folder%%:*}" ]; then
        printf 'activate.sh: PYTHONPATH cannot hold a path with a colon: %s\n' "$folder" >&2
    else
        printf '%s\n' "$folder"
    fi
}

_caffe_pylayer_activate() {
    local name file pid folder quoted empty
    name=<<cookiecutter.layer_name>>
    file=${BASH_SOURCE-}
    if [ -n "${ZSH_VERSION-}" ]; then
        emulate -L zsh
        zmodload zsh/parameter
        eval 'file=${funcsourcetrace[1]%:*}'  # ${(%):-%x} would escape non-ASCII in the C locale
    elif [ -z "$file" ] && [ -r /proc/self/stat ]; then  # what did this shell open last?
        read -r pid </proc/self/stat  # in a subshell, $$ is another process
        file=$(\ls "/proc/${pid%% *}/fd" | sort -rn | while read -r fd; do
            file=$(readlink "/proc/${pid%% *}/fd/$fd") || continue
            [ ! -f "${file%activate.sh}$name.py" ] || { printf '%s\n' "$file" && break; }
        done)
        if [ . -ef "${file%/*}" ]; then file=; fi
    fi
    folder=$(_caffe_pylayer_folder "${file:-./activate.sh}")
    quoted=$(_caffe_pylayer_quote "$folder")
    unset -f _caffe_pylayer_quote _caffe_pylayer_folder _caffe_pylayer_activate
    if [ -z "$folder" ]; then return 1; fi

    if command -v "deactivate_$name" >/dev/null; then "deactivate_$name"; fi
    if case :${PYTHONPATH-}: in *":$folder:"*) true ;; *) false ;; esac; then
        eval "deactivate_$name() { unset -f deactivate_$name; }"  # the entry is not ours
    else
        if [ -z "${PYTHONPATH-unset}" ]; then empty=yes; else empty=; fi
        eval "deactivate_$name() {
            unset -f deactivate_$name
            local folder empty rest
            folder=$quoted empty=$empty"'
            rest=":${PYTHONPATH-}:"
            until [ "$rest" = "${rest#*":$folder:"}" ]; do
                rest="${rest%%":$folder:"*}:${rest#*":$folder:"}"
            done
            rest="${rest#:}"
            PYTHONPATH="${rest%:}"
            if [ -z "$PYTHONPATH$empty" ]; then unset PYTHONPATH; fi
        }'
        PYTHONPATH="$folder${PYTHONPATH:+:$PYTHONPATH}"
    fi
    export PYTHONPATH
}

# Sourced? zsh tells; elsewhere $0 is this file only when it is run.
if [ "${ZSH_EVAL_CONTEXT-toplevel}" != toplevel ] ||
    [ ! -f "${0%activate.sh}<<cookiecutter.layer_name>>.py" ]
then
    _caffe_pylayer_activate
    return
fi

die() {
    printf 'activate.sh: %s\n' "$1" >&2
    exit "${2-1}"
}

case $* in
'') die 'running cannot change your shell; source it: . ./activate.sh (or activate.fish, .csh)' ;;
-h | --help)
    printf '%s\n' \
        'Usage: . ./activate.sh              put this folder on PYTHONPATH, until' \
        '       deactivate_<<cookiecutter.layer_name>>' \
        '       source activate.fish         the same in fish; in csh: source activate.csh' \
        '       ./activate.sh --install      have new shells do it: adds a line where they start' \
        '       ./activate.sh --uninstall    take that line out again' \
        'Example:' \
        '  . ./activate.sh' \
        '  python -c "import <<cookiecutter.layer_name>>"'
    exit
    ;;
--install | --uninstall) ;;
*) die "unknown option $*; ./activate.sh --help shows them all" 2 ;;
esac

folder=$(_caffe_pylayer_folder "$0")
if [ -z "$folder" ]; then exit 1; fi
if [ -z "${HOME-}" ]; then die 'HOME is not set, so the start-up file is not known'; fi
script=$(_caffe_pylayer_quote "$folder/activate.sh")
line="if [ -r $script ]; then . $script; fi"
case ${SHELL-} in
*bash) rc=$HOME/.bashrc ;;
*zsh) rc=${ZDOTDIR:-$HOME}/.zshrc ;;
*fish)
    rc=${XDG_CONFIG_HOME:-$HOME/.config}/fish/config.fish
    script=$(_caffe_pylayer_quote "$folder/activate.fish" 's/\\/&&/g;')
    line="if test -r $script; source $script; end"
    ;;
*csh)
    if [ -e "$HOME/.tcshrc" ]; then rc=$HOME/.tcshrc; else rc=$HOME/.cshrc; fi
    script=$(_caffe_pylayer_quote "$folder/activate.csh" 's/!/\\&/g;')
    line="if (-r $script) source $script"
    ;;
*) rc=$HOME/.profile ;;
esac
if [ "$(printf '%s\n' "$script" | wc -l)" -gt 1 ]; then die "no $1 for a path with a line break"; fi
mark='# caffe-pylayer <<cookiecutter.layer_name>>'
glued=', with the line break before'
line="$line  $mark"
ours="/^if .*  $mark\($glued\)\{0,1\}\$/"
found=$([ ! -e "$rc" ] || LC_ALL=C sed -n "${ours}p" "$rc" 2>/dev/null) || die "cannot read $rc"

case $1:$found in
"--install:$line" | "--install:$line$glued") printf '%s has it already: %s\n' "$rc" "$found" ;;
--install:?*) die "$rc has another folder's; take that out with --uninstall: $found" ;;
--install:)
    feed=
    if [ -n "$(tail -c 1 "$rc" 2>/dev/null)" ]; then feed='\n' line=$line$glued; fi
    printf '%s gets this line:\n%s\n' "$rc" "$line"
    mkdir -p "${rc%/*}" 2>/dev/null || :
    { printf "$feed%s\n" "$line" >>"$rc"; } 2>/dev/null || die "cannot write $rc"
    ;;
--uninstall:) printf '%s does not have it\n' "$rc" ;;
*)
    printf '%s loses this line:\n%s\n' "$rc" "$found"
    { copy=$(mktemp) && LC_ALL=C sed "${ours}d" "$rc" >"$copy"; } || die "$rc is left as it was"
    size=$(wc -c <"$copy")
    case $(tail -n 1 "$rc") in *"$mark$glued") size=$((size - 1)) ;; esac
    { head -c "$size" "$copy" >"$rc"; } 2>/dev/null || die "cannot write $rc; use the copy $copy"
    rm "$copy"
    ;;
esac
