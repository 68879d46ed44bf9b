#compdef taillab
# Completion of taillab in zsh. For good, in a folder of $fpath:
#   taillab completion zsh > ~/.zfunc/_taillab
_taillab() {
    local line text
    local -a plain open shown_plain shown_open
    while IFS= read -r line; do
        text=${line%%$'\t'*}
        line="$text  ${line#*$'\t'}"
        if [[ $text == *[=,/] ]]; then
            open+=("$text") shown_open+=("$line")
        else
            plain+=("$text") shown_plain+=("$line")
        fi
    done < <("${words[1]}" __complete "${(@)words[2,CURRENT]}" 2>/dev/null)
    (( $#plain )) && compadd -l -d shown_plain -- "${plain[@]}"
    (( $#open )) && compadd -l -S '' -d shown_open -- "${open[@]}"
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    _taillab "$@"
else
    compdef _taillab taillab
fi
