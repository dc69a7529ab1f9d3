# SPDX-License-Identifier: MIT
# fish completion for pagetap(1).  Checked against --help by tests/check-docs.sh.

# Live processes with user memory, each with its name; the last of a comma list.
function __pagetap_pids
    set -l before (string match -r '^.*,' -- (commandline -ct) | string replace -r '^--?p(id=)?' '')
    for dir in /proc/*/
        set -l pid (path basename $dir 2>/dev/null; or basename $dir)
        string match -qr '^[0-9]+$' -- $pid; or continue
        # Kernel threads have no command line.
        test -n "$(string join '' < /proc/$pid/cmdline 2>/dev/null)"; or continue
        set -l comm (cat /proc/$pid/comm 2>/dev/null | string replace -ra '[^[:print:]]' '?')
        test -n "$comm"; and printf '%s%s\t%s\n' "$before" $pid "$comm"
    end
end

function __pagetap_list
    set -l before (string match -r '^.*,' -- (commandline -ct) | string replace -r '^--?\w+=?' '')
    for word in $argv
        printf '%s%s\n' "$before" $word
    end
end

function __pagetap_command
    set -l words (commandline -opc)
    test (count $words) -ge 2; and contains -- $words[2] $argv
end

complete -c pagetap -f
set -l none 'test (count (commandline -opc)) -eq 1'
complete -c pagetap -n $none -a record -d 'attach to a process and write what its memory does'
complete -c pagetap -n $none -a trace -d 'show what memory does, a line an event'
complete -c pagetap -n $none -a map -d 'show mappings and what can be watched'
complete -c pagetap -n $none -a check -d 'say what this machine, user and process allow'
complete -c pagetap -n $none -a report -d 'say what a trace tells: who wrote what, where and when'
complete -c pagetap -n $none -a validate -d 'read a trace strictly'
complete -c pagetap -n $none -a demo -d 'watch a small program for three seconds'
complete -c pagetap -n $none -a restore -d 'restore a checkpoint that runs before its memory is there'
complete -c pagetap -n $none -a lazy-pages -d 'bring the pages of a CRIU checkpoint'
complete -c pagetap -n $none -a page-server -d 'give the pages of a checkpoint to lazy restores'
complete -c pagetap -n $none -s V -l version -d 'print the version and exit'
complete -c pagetap -s h -l help -d 'print the options and exit'

set -l any '__pagetap_command record trace map check report validate demo restore lazy-pages page-server'
complete -c pagetap -n $any -s q -l quiet -d 'say nothing but errors'
complete -c pagetap -n $any -s v -l verbose -d 'say more'
complete -c pagetap -n $any -l color -x -a 'auto always never' -d 'when to use colour'

set -l record '__pagetap_command record'
complete -c pagetap -n $record -s p -l pid -x -a '(__pagetap_pids)' -d 'attach to these processes'
complete -c pagetap -n $record -s o -l output -r -F -d 'where to write'
complete -c pagetap -n $record -s f -l follow -d 'watch children and what they execute'
complete -c pagetap -n $record -s e -l events -x -a '(__pagetap_list missing wp minor fork exit map)' -d 'keep only these kinds'
complete -c pagetap -n $record -s m -l mapping -x -a 'heap stack anon shmem hugetlb file' -d 'only mappings of this name'
complete -c pagetap -n $record -s a -l address -x -d 'only this range of addresses'
complete -c pagetap -n $record -s d -l duration -x -d 'stop after so many seconds'
complete -c pagetap -n $record -s n -l count -x -d 'stop after so many faults'
complete -c pagetap -n $record -l max-size -x -d 'stop when the output is so large'
complete -c pagetap -n $record -l engine -x -a 'auto async sync both' -d 'how faults are seen'
complete -c pagetap -n $record -l who -d 'also who wrote each page, and from where'
complete -c pagetap -n $record -l sure -d 'with --who: tell writes from reads'
complete -c pagetap -n $record -l epoch -x -d 'written pages each so many ms'
complete -c pagetap -n $record -l budget -x -d 'slow the target by no more per cent'
complete -c pagetap -n $record -l mode -x -a '(__pagetap_list write missing minor)' -d 'what to report'
complete -c pagetap -n $record -l rearm -x -d 'protect again each so many ms'
complete -c pagetap -n $record -l granularity -x -a '2 4 8 16 32 64 128 256 512' -d 'tell of so many pages as one'
complete -c pagetap -n $record -l ring -x -d 'records that may wait for the output'
complete -c pagetap -n $record -l max-processes -x -d 'with -f: watch no more at a time'
complete -c pagetap -n $record -l watchdog -x -d 'let go if pagetap itself stands still'
complete -c pagetap -n $record -l strict -d 'exit with status 6 if records were lost'

set -l trace '__pagetap_command trace'
complete -c pagetap -n $trace -s p -l pid -x -a '(__pagetap_pids)' -d 'attach to these processes'
complete -c pagetap -n $trace -s o -l output -r -F -d 'where to write the lines'
complete -c pagetap -n $trace -s f -l follow -d 'watch children and what they execute'
complete -c pagetap -n $trace -s e -l events -x -a '(__pagetap_list missing wp minor fork exit map)' -d 'keep only these kinds'
complete -c pagetap -n $trace -s m -l mapping -x -a 'heap stack anon shmem hugetlb file' -d 'only mappings of this name'
complete -c pagetap -n $trace -s a -l address -x -d 'only this range of addresses'
complete -c pagetap -n $trace -s d -l duration -x -d 'stop after so many seconds'
complete -c pagetap -n $trace -s n -l count -x -d 'stop after so many lines'
complete -c pagetap -n $trace -s t -l time -d 'the time of day'
complete -c pagetap -n $trace -s c -l summary-only -d 'only tables at the end'
complete -c pagetap -n $trace -s C -l summary -d 'also tables at the end'
complete -c pagetap -n $trace -l no-who -d 'which pages, not who wrote them'
complete -c pagetap -n $trace -l engine -x -a 'auto async sync both' -d 'how faults are seen'
complete -c pagetap -n $trace -l sure -d 'tell writes from reads'
complete -c pagetap -n $trace -l epoch -x -d 'written pages each so many ms'
complete -c pagetap -n $trace -l budget -x -d 'slow the target by no more per cent'
complete -c pagetap -n $trace -l mode -x -a '(__pagetap_list write missing minor)' -d 'what to report'
complete -c pagetap -n $trace -l rearm -x -d 'protect again each so many ms'
complete -c pagetap -n $trace -l granularity -x -a '2 4 8 16 32 64 128 256 512' -d 'tell of so many pages as one'
complete -c pagetap -n $trace -l ring -x -d 'records that may wait for the output'
complete -c pagetap -n $trace -l max-processes -x -d 'with -f: watch no more at a time'
complete -c pagetap -n $trace -l watchdog -x -d 'let go if pagetap itself stands still'

set -l map '__pagetap_command map'
complete -c pagetap -n $map -s p -l pid -x -a '(__pagetap_pids)' -d 'the process'
complete -c pagetap -n $map -s m -l mapping -x -a 'heap stack anon shmem hugetlb file' -d 'only mappings of this name'
complete -c pagetap -n $map -s a -l address -x -d 'only this range of addresses'
complete -c pagetap -n $map -l mode -x -a '(__pagetap_list write missing minor)' -d 'judge for these modes'
complete -c pagetap -n $map -s J -l json -d 'print one JSON object'

set -l check '__pagetap_command check'
complete -c pagetap -n $check -s p -l pid -x -a '(__pagetap_pids)' -d 'also look at this process'
complete -c pagetap -n $check -s J -l json -d 'print one JSON object'

set -l report '__pagetap_command report'
complete -c pagetap -n $report -F
complete -c pagetap -n $report -l by -x -a 'mapping thread process page' -d 'this table alone'
complete -c pagetap -n $report -l heatmap -d 'addresses against time'
complete -c pagetap -n $report -l html -r -F -d 'a page with pictures for any browser'
complete -c pagetap -n $report -l wss -d 'dirty rate and working set, window by window'
complete -c pagetap -n $report -l top -x -d 'rows of each table at most'
complete -c pagetap -n $report -s p -l pid -x -d 'only these processes'
complete -c pagetap -n $report -s m -l mapping -x -a 'heap stack anon shmem hugetlb file' -d 'only mappings of this name'
complete -c pagetap -n $report -s a -l address -x -d 'only this range of addresses'
complete -c pagetap -n $report -s e -l events -x -a '(__pagetap_list missing wp minor fork exit map)' -d 'only these kinds'
complete -c pagetap -n $report -l since -x -d 'only from this time on'
complete -c pagetap -n $report -l until -x -d 'only up to this time'
complete -c pagetap -n $report -s J -l json -d 'print one JSON object'

set -l validate '__pagetap_command validate'
complete -c pagetap -n $validate -F
complete -c pagetap -n $validate -l allow-cut -d 'a trace without an end is no fault'
complete -c pagetap -n $validate -s J -l json -d 'print one JSON object a file'

set -l demo '__pagetap_command demo'
complete -c pagetap -n $demo -s o -l output -r -F -d 'where to write'
complete -c pagetap -n $demo -s d -l duration -x -d 'watch for so many seconds'

set -l restore '__pagetap_command restore'
complete -c pagetap -n $restore -s D -l images-dir -x -a '(__fish_complete_directories)' -d 'the checkpoint'
complete -c pagetap -n $restore -s W -l work-dir -x -a '(__fish_complete_directories)' -d 'socket and log are there'
complete -c pagetap -n $restore -l criu -r -F -d 'the one to run'
complete -c pagetap -n $restore -l criu-dir -x -a '(__fish_complete_directories)' -d 'what criu reads itself'
complete -c pagetap -n $restore -l cacert -r -F -d 'of a web server: trust only this authority'
complete -c pagetap -n $restore -l http-token -r -F -d 'a bearer token for a web server'
complete -c pagetap -n $restore -l netrc -r -F -d 'user and password for a web server'
complete -c pagetap -n $restore -l aws -d 'sign requests to a web server'
complete -c pagetap -n $restore -l cache -x -a '(__fish_complete_directories)' -d 'keep its pages there'
complete -c pagetap -n $restore -l page-server -d 'pages come from a page server'
complete -c pagetap -n $restore -l address -x -d 'of that server'
complete -c pagetap -n $restore -l port -x -d 'of that server'
complete -c pagetap -n $restore -l tls -d 'encrypt, and know each other by certificates'
complete -c pagetap -n $restore -l tls-cacert -r -F -d 'trust only this authority'
complete -c pagetap -n $restore -l tls-cacrl -r -F -d 'what it has revoked'
complete -c pagetap -n $restore -l tls-cert -r -F -d 'certificate of this end'
complete -c pagetap -n $restore -l tls-key -r -F -d 'and its key'
complete -c pagetap -n $restore -l tls-no-cn-verify -d 'the name of the server may be any'
complete -c pagetap -n $restore -s o -l output -r -F -d 'a trace of the restore'
complete -c pagetap -n $restore -l prefetch -r -F -d 'fill first what that trace touched first'
complete -c pagetap -n $restore -l mode -x -a 'missing write' -d 'what is in the trace'
complete -c pagetap -n $restore -l cold -x -a 'fill leave' -d 'what nobody touches'
complete -c pagetap -n $restore -l threads -x -d 'copy in the background'
complete -c pagetap -n $restore -l on-death -x -a 'restart kill' -d 'of the pager'
complete -c pagetap -n $restore -s J -l json -d 'print one JSON object'

set -l lazy_pages '__pagetap_command lazy-pages'
complete -c pagetap -n $lazy_pages -s D -l images-dir -x -a '(__fish_complete_directories)' -d 'the checkpoint'
complete -c pagetap -n $lazy_pages -s W -l work-dir -x -a '(__fish_complete_directories)' -d 'socket and log are there'
complete -c pagetap -n $lazy_pages -l page-server -d 'pages come from a page server'
complete -c pagetap -n $lazy_pages -l address -x -d 'of that server'
complete -c pagetap -n $lazy_pages -l port -x -d 'of that server'
complete -c pagetap -n $lazy_pages -l tls -d 'encrypt, and know each other by certificates'
complete -c pagetap -n $lazy_pages -l tls-cacert -r -F -d 'trust only this authority'
complete -c pagetap -n $lazy_pages -l tls-cacrl -r -F -d 'what it has revoked'
complete -c pagetap -n $lazy_pages -l tls-cert -r -F -d 'certificate of this end'
complete -c pagetap -n $lazy_pages -l tls-key -r -F -d 'and its key'
complete -c pagetap -n $lazy_pages -l tls-no-cn-verify -d 'the name of the server may be any'
complete -c pagetap -n $lazy_pages -s o -l output -r -F -d 'a trace of the restore'
complete -c pagetap -n $lazy_pages -l prefetch -r -F -d 'fill first what that trace touched first'
complete -c pagetap -n $lazy_pages -l mode -x -a 'missing write' -d 'what is in the trace'
complete -c pagetap -n $lazy_pages -l cold -x -a 'fill leave' -d 'what nobody touches'
complete -c pagetap -n $lazy_pages -l cacert -r -F -d 'of a web server: trust only this authority'
complete -c pagetap -n $lazy_pages -l http-token -r -F -d 'a bearer token for a web server'
complete -c pagetap -n $lazy_pages -l netrc -r -F -d 'user and password for a web server'
complete -c pagetap -n $lazy_pages -l aws -d 'sign requests to a web server'
complete -c pagetap -n $lazy_pages -l cache -x -a '(__fish_complete_directories)' -d 'keep its pages there'
complete -c pagetap -n $lazy_pages -l threads -x -d 'copy in the background'
complete -c pagetap -n $lazy_pages -l on-death -x -a 'restart kill' -d 'of the pager'
complete -c pagetap -n $lazy_pages -l status-fd -x -d 'write a zero byte there once we listen'
complete -c pagetap -n $lazy_pages -s d -l daemon -d 'go to the background once we listen'
complete -c pagetap -n $lazy_pages -l pidfile -r -F -d 'write the number of the daemon there'
complete -c pagetap -n $lazy_pages -l log-file -r -F -d 'messages go there'
complete -c pagetap -n $lazy_pages -l no-default-config -d 'nothing'
complete -c pagetap -n $lazy_pages -l verbosity -d 'a level as CRIU counts'

set -l page_server '__pagetap_command page-server'
complete -c pagetap -n $page_server -s D -l images-dir -x -a '(__fish_complete_directories)' -d 'the checkpoint'
complete -c pagetap -n $page_server -l cacert -r -F -d 'of a web server: trust only this authority'
complete -c pagetap -n $page_server -l http-token -r -F -d 'a bearer token for a web server'
complete -c pagetap -n $page_server -l netrc -r -F -d 'user and password for a web server'
complete -c pagetap -n $page_server -l aws -d 'sign requests to a web server'
complete -c pagetap -n $page_server -l cache -x -a '(__fish_complete_directories)' -d 'keep its pages there'
complete -c pagetap -n $page_server -l address -x -d 'listen there'
complete -c pagetap -n $page_server -l port -x -d 'listen there'
complete -c pagetap -n $page_server -l max-clients -x -d 'connections at the same time'
complete -c pagetap -n $page_server -l status-fd -x -d 'write a zero byte there once we listen'
complete -c pagetap -n $page_server -l tls -d 'encrypt, and know each other by certificates'
complete -c pagetap -n $page_server -l tls-cacert -r -F -d 'trust only this authority'
complete -c pagetap -n $page_server -l tls-cacrl -r -F -d 'what it has revoked'
complete -c pagetap -n $page_server -l tls-cert -r -F -d 'certificate of this end'
complete -c pagetap -n $page_server -l tls-key -r -F -d 'and its key'
complete -c pagetap -n $page_server -l tls-no-cn-verify -d 'the name of the server may be any'
complete -c pagetap -n $page_server -l lazy-pages -d 'nothing'
complete -c pagetap -n $page_server -l no-default-config -d 'nothing'
