# Completion of taillab in fish. For good:
#   taillab completion fish > ~/.config/fish/completions/taillab.fish
function __taillab_words
    set -l words (commandline -opc) (commandline -ct)
    $words[1] __complete $words[2..-1] 2>/dev/null
end
complete -c taillab -f -a '(__taillab_words)'
