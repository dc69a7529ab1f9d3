# SPDX-License-Identifier: MIT
# bash completion for pagetap(1).  Checked against --help by tests/check-docs.sh.

# Live processes with user memory; several candidates are shown with their names.
_pagetap_pids() {
	local list=$1 word=${1##*,} before="" dir pid comm cmdline
	local -a pids=() shown=()

	[[ $list == *,* ]] && before=${list%,*},
	for dir in /proc/"$word"*/; do
		pid=${dir%/}
		pid=${pid##*/}
		[[ $pid =~ ^[0-9]+$ && $pid != "$$" ]] || continue
		# Kernel threads have no command line.
		{ IFS= read -r -d '' cmdline <"/proc/$pid/cmdline" || [[ $cmdline ]]; } \
			2>/dev/null || continue
		{ IFS= read -r comm <"/proc/$pid/comm"; } 2>/dev/null || continue
		pids+=("$before$pid")
		shown+=("$before$pid (${comm//[^[:print:]]/?})")
	done
	if ((${#pids[@]} == 1)); then
		COMPREPLY=("${pids[@]}")
	else
		COMPREPLY=("${shown[@]}")
	fi
}

_pagetap_words() {
	mapfile -t COMPREPLY < <(compgen -W "$1" -- "$2")
}

# The last word of a comma list.
_pagetap_list() {
	local list=$2 before=""

	[[ $list == *,* ]] && before=${list%,*},
	mapfile -t COMPREPLY < <(compgen -P "$before" -W "$1" -- "${list##*,}")
}

_pagetap_traces() {
	compopt -o filenames
	mapfile -t COMPREPLY < <(compgen -f -X '!*.@(ndjson|ndjson.zst)' -- "$1"
		compgen -d -- "$1")
}

_pagetap_value() {
	local command=$1 option=$2 cur=$3 both=' both' minor=' minor' more_tables=' thread process page'

	# The same options of others take less.
	case $command in
	map) both= ;;
	restore | lazy-pages) minor= ;;
	diff) more_tables= ;;
	esac
	case $option in
	-p | --pid) _pagetap_pids "$cur" ;;
	-o | --output | --html | --prefetch | --pidfile | --log-file | --tls-cacert | --tls-cacrl | --tls-cert | --tls-key | \
		--criu)
		compopt -o filenames
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		;;
	-e | --events) _pagetap_list 'missing wp minor fork exit map' "$cur" ;;
	-m | --mapping) _pagetap_words 'heap stack anon shmem hugetlb file' "$cur" ;;
	--mode) _pagetap_list "write missing$minor" "$cur" ;;
	--cold) _pagetap_words 'fill leave' "$cur" ;;
	--on-death) _pagetap_words 'restart kill' "$cur" ;;
	--engine) _pagetap_words "auto async sync$both" "$cur" ;;
	-D | --images-dir | -W | --work-dir | --criu-dir | --root)
		compopt -o filenames
		mapfile -t COMPREPLY < <(compgen -d -- "$cur")
		;;
	--by) _pagetap_words "mapping symbol$more_tables" "$cur" ;;
	--to) _pagetap_words 'chrome folded speedscope csv openmetrics pages' "$cur" ;;
	--granularity) _pagetap_words '2 4 8 16 32 64 128 256 512' "$cur" ;;
	--color) _pagetap_words 'auto always never' "$cur" ;;
	-a | --address | -d | --duration | -i | --interval | -n | --count | --max-size | --epoch | --budget | --rearm | --ring | --max-processes | --watchdog | --threads | --status-fd | --port | --max-clients | --top | --since | --until) ;;
	*) return 1 ;;
	esac
}

_pagetap() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
	local command=${COMP_WORDS[1]} i
	local common='-q --quiet -v --verbose --color -h --help'
	local tls='--tls --tls-cacert --tls-cacrl --tls-cert --tls-key --tls-no-cn-verify'
	local web='--cacert --http-token --netrc --aws --cache'

	COMPREPLY=()
	if ((COMP_CWORD == 1)); then
		_pagetap_words 'record trace top map check report diff export validate demo restore lazy-pages page-server -h --help -V --version' "$cur"
		return
	fi
	# readline splits --option=value into three words.
	if [[ $cur == '=' ]]; then
		cur=
	elif [[ $prev == '=' ]]; then
		prev=${COMP_WORDS[COMP_CWORD - 2]}
	fi
	for ((i = 2; i < COMP_CWORD; i++)); do
		if [[ ${COMP_WORDS[i]} == -- ]]; then
			compopt -o default
			((COMP_CWORD == i + 1)) && mapfile -t COMPREPLY < <(compgen -c -- "$cur")
			return
		fi
	done
	# -d takes a value, but not there.
	if [[ $command$prev != lazy-pages-d ]]; then
		_pagetap_value "$command" "$prev" "$cur" && return
	fi
	case $command in
	record)
		_pagetap_words "-p --pid -o --output -f --follow -e --events -m --mapping
			-a --address -d --duration -n --count --max-size --engine --epoch --who --sure
			--budget --mode --rearm --granularity --ring --max-processes --watchdog --strict $common --" "$cur"
		;;
	trace)
		_pagetap_words "-p --pid -o --output -f --follow -e --events -m --mapping
			-a --address -d --duration -n --count -t --time -c --summary-only -C --summary
			--no-who --engine --epoch --sure --budget --mode --rearm --granularity --ring
			--max-processes --watchdog $common --" "$cur"
		;;
	top)
		_pagetap_words "-p --pid -f --follow -m --mapping -a --address -d --duration -i --interval
			--once -J --json --who --engine --epoch --sure --budget --mode --rearm --granularity
			--ring --max-processes --watchdog $common --" "$cur"
		;;
	map)
		_pagetap_words "-p --pid -m --mapping -a --address --mode --engine -J --json
			$common" "$cur"
		;;
	check) _pagetap_words "-p --pid -J --json $common" "$cur" ;;
	restore)
		_pagetap_words "-D --images-dir -W --work-dir --criu --criu-dir --page-server --address --port $tls $web
			-o --output --mode --prefetch --cold --threads --on-death -J --json $common --" "$cur"
		;;
	lazy-pages)
		_pagetap_words "-D --images-dir -W --work-dir --page-server --address --port $tls $web -o --output
			--mode --prefetch --cold --threads --on-death --status-fd -d --daemon
			--pidfile --log-file --no-default-config --verbosity $common" "$cur"
		;;
	page-server)
		_pagetap_words "-D --images-dir --address --port --max-clients --status-fd $tls $web
			--lazy-pages --no-default-config $common" "$cur"
		;;
	demo) _pagetap_words "-o --output -d --duration $common" "$cur" ;;
	report)
		if [[ $cur == -* ]]; then
			_pagetap_words "--by --heatmap --wss --html --top --no-symbols --root -p --pid -m --mapping -a --address
				-e --events --since --until -J --json $common" "$cur"
		else
			_pagetap_traces "$cur"
		fi
		;;
	diff)
		if [[ $cur == -* ]]; then
			_pagetap_words "--by --top -p --pid -m --mapping -a --address -e --events --since
				--until --no-symbols --root -J --json $common" "$cur"
		else
			_pagetap_traces "$cur"
		fi
		;;
	export)
		if [[ $cur == -* ]]; then
			_pagetap_words "--to -o --output -p --pid -m --mapping -a --address -e --events
				--since --until --no-symbols --root $common" "$cur"
		else
			_pagetap_traces "$cur"
		fi
		;;
	validate)
		if [[ $cur == -* ]]; then
			_pagetap_words "--allow-cut -J --json $common" "$cur"
		else
			_pagetap_traces "$cur"
		fi
		;;
	esac
}

complete -F _pagetap pagetap
