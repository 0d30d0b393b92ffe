"""Completion scripts, and what they ask: `_AT_COMPLETE=N at WORDS…` prints a line for each candidate of word N.

A line is the candidate, a tab and its explanation. click's own scripts pass the words through a string and a shell
lexer, know one name of the program only, and start a second shell for its version; hence these.
"""

from __future__ import annotations

from collections.abc import Sequence

import click
from click.shell_completion import CompletionItem, ShellComplete

_BASH = """\
_at_complete() {
    local line word=${COMP_WORDS[COMP_CWORD]} quote=
    local -a words=("${COMP_WORDS[@]:1}")
    case $word in
        [\\"\\']*) quote=${word:0:1} word=${word:1} ;;
        *) word=${word//\\\\/} ;;
    esac
    words[COMP_CWORD - 1]=$word
    COMPREPLY=()
    while IFS= read -r line; do
        line=${line%%$'\\t'*}
        if [[ ! $quote ]]; then
            printf -v line %q "$line"
        elif [[ $line == *[\\"\\'\\$\\`\\\\!]* ]]; then
            continue
        fi
        COMPREPLY+=("$line")
    done < <(_AT_COMPLETE="$COMP_CWORD" "$1" "${words[@]}" 2>/dev/null)
}
complete -o bashdefault -o default -F _at_complete at auto-tundra
"""

_ZSH = """\
#compdef at auto-tundra
_at_complete() {
    local line name help
    local -a before candidates
    before=("${(@Q)words[2,CURRENT-1]}")
    while IFS= read -r line; do
        name=${line%%$'\\t'*} help=${line#*$'\\t'}
        candidates+=("${name//:/\\\\:}${help:+:$help}")
    done < <(_AT_COMPLETE=$((CURRENT - 1)) "${words[1]}" "${before[@]}" "${(Q)PREFIX}" 2>/dev/null)
    if (( ${#candidates} )); then
        _describe -V at candidates
    else
        _files
    fi
}
if [[ "${zsh_eval_context[-1]}" == loadautofunc ]]; then
    _at_complete "$@"
else
    compdef _at_complete at auto-tundra
fi
"""

_FISH = """\
function _at_complete
    set -l before (commandline -opc)
    set -l word (commandline -ct)
    set -l plain (string unescape -- $word 2>/dev/null; or string trim --left --chars '"\\'' -- $word)
    set -lx _AT_COMPLETE (count $before)
    $before[1] $before[2..] "$plain" 2>/dev/null
end
complete -c at -f -a "(_at_complete)"
complete -c auto-tundra -f -a "(_at_complete)"
"""

SCRIPTS = {"bash": _BASH, "fish": _FISH, "zsh": _ZSH}


def candidates(
    command: click.Command, words: Sequence[str], position: int, obj: object
) -> list[CompletionItem]:
    """What word `position` of the line may be; `words` are those behind the program's name, 1 is the first of them."""
    before = [word for word in words[: max(position - 1, 0)] if word != "="]
    incomplete = words[position - 1] if 0 < position <= len(words) else ""
    complete = ShellComplete(command, {"obj": obj}, "at", "_AT_COMPLETE")
    return complete.get_completions(before, "" if incomplete == "=" else incomplete)
