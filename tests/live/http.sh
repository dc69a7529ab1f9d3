#!/bin/bash
# SPDX-License-Identifier: MIT
#
# http: checkpoints behind a web server, restored lazily by range requests.
# limit: 200
# lane: restore
. "$(dirname "$0")/lib.sh"
. "$SRC/tests/restore/rig.sh"
. "$SRC/tests/restore/web.sh"
needs_criu
needs_nginx

# ranges_only: of pages nothing else was asked for, and something was.
ranges_only() {
	[ "$(sent '^206 GET.*pages-')" -gt 0 ] || wrong 'no page came from there' || return
	! grep '^200 GET.*pages-' "$W/web/access.log" || wrong 'a whole pages file'
}
# A user and his password, which are in a file.
case_children_by_netrc() {
	checkpoint children 32 && start_web "auth_basic store; auth_basic_user_file $W/web/users;" || return
	echo 'joe:{PLAIN}sesame' >"$W/web/users"
	echo 'machine 127.0.0.1 login joe password sesame' >"$D/netrc"
	at_web && restored mix --netrc "$D/netrc" && ranges_only && stop_web
}
# The pager is killed, and another one takes over, with connections of its own.
case_https_with_a_token_and_two_pagers() {
	checkpoint plain 32 || return
	# shellcheck disable=SC2016
	start_web 'if ($http_authorization != "Bearer open.sesame") { return 401; }' && at_web https || return
	echo open.sesame >"$D/token"
	new_run
	PAGER_FAULT=die:2000 start_pager --cacert "$W/web/ca.pem" --http-token "$D/token" &&
		start_restore check && criu_content && all_right && pager_ends || return
	it_says 'started again' || wrong "not killed: $(pager_said)" || return
	grep -q '^206 GET.*HTTP/2.0$' "$W/web/access.log" || wrong 'not by HTTP/2' || return
	! grep -rq open.sesame "$RUN"/*.log || wrong 'the token was said' || return
	end_run && ranges_only && stop_web
}
# Behind a redirection, too, to a host that the token is not for.
case_parents_behind_a_slow_server() {
	checkpoint children 16 && retold parents 3 || return
	rm -rf "$W/checkpoints/told"
	cp -a "$D/told" "$W/checkpoints/told"
	# shellcheck disable=SC2016
	start_web 'limit_rate 3m; if ($host = 127.0.0.1) { return 302 http://localhost:$server_port$request_uri; }' \
		'if ($http_authorization) { return 418; }' || return
	echo open.sesame >"$D/token"
	IMAGES=$SITE/told/images/ restored check --http-token "$D/token" && ranges_only || return
	grep -q '^302 GET' "$W/web/access.log" || wrong 'no redirection' || return
	grep -q '^206 GET.*parent/pages' "$W/web/access.log" || wrong 'nothing came from a parent' || return
	stop_web
}

# Each lie is one answer; what was asked for is asked again, and nobody notices.
case_signed_requests_to_a_store_that_lies() {
	local lie
	checkpoint plain 16 || return
	export STORE_KEY=AKIDEXAMPLE STORE_SECRET=wJalrXUtnFEMI/K7+bPxRf STORE_SESSION=temporary/+=
	export STORE_REGION=eu-test-1 AWS_ACCESS_KEY_ID=$STORE_KEY AWS_SECRET_ACCESS_KEY=$STORE_SECRET
	export AWS_SESSION_TOKEN=$STORE_SESSION AWS_REGION=$STORE_REGION
	printf '%s\n' whole other silent short fewer more etag length gzip busy elsewhere reset >"$D/lies"
	python3 "$SRC/tests/restore/store.py" "$W/checkpoints" "$WEB" "$D/lies" >"$D/store.log" 2>&1 &
	started $!
	within 10 web_listens || wrong "no store: $(cat "$D/store.log")" || return
	at_web
	new_run
	start_pager --aws && start_restore check && criu_content && all_right && pager_ends || return
	for lie in 'whole files only' 'gives 0-' 'which range it gives' 'another ETag' 'another length' \
		compressed 'ask elsewhere' 'more than was asked for' 'answers again'; do
		grep -q "$lie" "$RUN/pager.log" || wrong "not said: $lie: $(pager_said)" || return
	done
	! grep refused "$D/store.log" || wrong 'a wrong signature' || return
	[ "$(grep -c '^lie' "$D/store.log")" = 12 ] || wrong "lies: $(grep -c '^lie' "$D/store.log")" || return
	! grep -rq -e wJalrX -e temporary "$RUN"/*.log || wrong 'a secret was said' || return
	end_run
	AWS_SECRET_ACCESS_KEY=another timeout 20 "$PAGETAP" lazy-pages -D "$IMAGES" -W "$D" --aws >"$D/out" 2>&1
	grep -q 'does not let us (403)' "$D/out" || wrong "with another secret: $(cat "$D/out")"
}

# half_way: a restore whose pager is stopped when half of the pages have come.
half_way() {
	local pages
	checkpoint plain 32 && start_web && at_web || return
	pages=$("$KNOWN" "$CHECKPOINT/seat/control" where | cut -d ' ' -f 2)
	new_run
	PAGER_FAULT=stop:$((pages / 2)) start_pager "$@" || return
	start_restore check
	within "$PATIENCE" pager_stopped || wrong "the pager is not stopped: $(pager_said)"
}
it_says() { grep -q "$1" "$RUN/pager.log"; }
both_wait() {
	! ended "$PAGER_PID" || wrong "the pager gave up: $(pager_said)" || return
	! "$KNOWN" "$RUN/seat/control" wait 0 >"$D/early.out" 2>&1 || wrong 'all there, from nowhere'
}
# The server ends, comes back with another file, and at last with the right one.
case_stopped_and_replaced_amidst() {
	local pages
	half_way && stop_web && kill -CONT "$(pager_itself)" || return
	within 10 it_says 'trying again' || wrong "not said: $(pager_said)" || return
	both_wait || return
	pages=$(find "$CHECKPOINT/images" -name 'pages-*.img' -size +1000k)
	cp -p "$pages" "$D/right"
	tr '\0' '\1' <"$D/right" >"$pages"
	resume_web && within 20 it_says 'replaced since' || wrong "not said: $(pager_said)" || return
	sleep 0.3
	both_wait || return
	cp -p "$D/right" "$pages"
	criu_content && all_right && pager_ends && it_says 'answers again' || wrong "not said: $(pager_said)" || return
	end_run && stop_web
}

# What came once comes from the folder, and what was left half done is finished.
case_cache() {
	half_way --cache "$D/cache" && kill_daemon "$PAGER_PID" && kill -KILL "$RESTORE_PID" || return
	[ "$(stat -c %a "$D/cache")" = 700 ] || wrong "mode $(stat -c %a "$D/cache")" || return
	restored check --cache "$D/cache" || return
	: >"$W/web/access.log"
	restored check --cache "$D/cache" || return
	[ "$(sent 'GET.*pages-')" = 0 ] || wrong "$(sent 'GET.*pages-') bytes of pages came again" || return
	[ "$(sent 'GET')" -gt 0 ] || wrong 'no description came' || return
	stop_web
}

# A page server that has its pages from there, and whose server is gone for a moment.
case_page_server_in_between() {
	checkpoint children 16 && start_web && at_web || return
	SOURCE_IMAGES=$IMAGES start_source --cache "$D/cache" && retold blank && stop_web || return
	new_run
	IMAGES=$IMAGES_TOLD start_pager --page-server --address 127.0.0.1 --port "$PORT" &&
		start_restore mix || return
	within 20 grep -q 'trying again' "$D/source.err" || wrong "not said: $(cat "$D/source.err")" || return
	both_wait && resume_web && criu_content && all_right && pager_ends && end_run && ranges_only || return
	stop_web && end_source || return
	grep -q 'answers again' "$D/source.err" || wrong "not said: $(cat "$D/source.err")"
}

# refused STATUS WORDS OPTION...: before anybody can connect.
refused() {
	local status=$1 words=$2 got
	shift 2
	timeout -k 5 30 "$PAGETAP" lazy-pages -W "$D" "$@" >"$D/out" 2>&1
	got=$?
	[ "$got" = "$status" ] || wrong "$*: exit status $got: $(cat "$D/out")" || return
	grep -q -- "$words" "$D/out" || wrong "$*: $(cat "$D/out")" || return
	! grep -q sesame "$D/out" || wrong "a password was said: $(cat "$D/out")" || return
	[ ! -e "$D/lazy-pages.socket" ] || wrong "$*: it listened"
}
case_refusals() {
	local own
	unset AWS_ACCESS_KEY_ID
	checkpoint plain 16 && at_web
	# Nobody is there yet.
	refused 1 "connect to server" -D "$IMAGES" || return
	start_web "if (\$http_authorization = 'Bearer sesame') { return 403; } if (\$uri ~ /none/) { return 401; }" ||
		return
	own=$IMAGES
	refused 1 'inventory.img: .*no\(t there\| such file\)' -D "$SITE/nowhere/" || return
	refused 1 'who asks (401)' -D "$SITE/none/" || return
	echo sesame >"$D/token"
	refused 1 'does not let us (403)' -D "$own" --http-token "$D/token" || return
	PAGETAP_HTTP_TOKEN=sesame refused 1 'does not let us (403)' -D "$own" || return
	refused 1 'token.none: No such file' -D "$own" --http-token "$D/token.none" || return
	refused 1 AWS_ACCESS_KEY_ID -D "$own" --aws || return
	refused 1 certificate -D "https://127.0.0.1:$TLS_WEB/plain-16/images/" || return
	refused 1 certificate -D "https://127.0.0.1:$TLS_WEB/plain-16/images/" --cacert "$W/web/other-ca.pem" || return
	refused 2 'can be read by everybody' -D "http://joe:sesame@127.0.0.1:$WEB/" || return
	refused 2 'not the address of one' -D "$D" --aws || return
	mkdir -m 755 "$D/open"
	refused 3 '0700' -D "$own" --cache "$D/open" || return
	stop_web
}
run_cases "$@"
