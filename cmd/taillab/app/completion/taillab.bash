# Completion of taillab in bash. For good:
#   taillab completion bash > ~/.local/share/bash-completion/completions/taillab
_taillab() {
    local line=${COMP_LINE:0:COMP_POINT} words word head text
    read -ra words <<<"$line" # by blanks alone: = and : do not part words here
    [[ $line == *[[:space:]] ]] && words+=("")
    word=${words[${#words[@]} - 1]}
    head=${word%"${word##*[=:]}"} # readline replaces what follows the last = or :
    COMPREPLY=()
    while IFS=$'\t' read -r text _; do
        COMPREPLY+=("${text#"$head"}")
    done < <("${words[0]}" __complete "${words[@]:1}" 2>/dev/null)
    if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *[=,/] ]]; then
        compopt -o nospace 2>/dev/null
    fi
}
complete -F _taillab taillab
