# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# web: checkpoints behind nginx, on a port of this machine that nobody else has.  To be
# sourced after rig.sh.  NGINX is its pid; its folder is $W/web.
#
#	http://127.0.0.1:$WEB/SHAPE-MIB/images/		and https:// at TLS_WEB
WEB=$((PORT + 1)) TLS_WEB=$((PORT + 2))
SITE=http://127.0.0.1:$WEB
unset http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY PAGETAP_HTTP_TOKEN

needs_nginx() {
	PATH=$PATH:/usr/sbin
	command -v nginx >/dev/null && return
	echo 'SKIP no-nginx: make deps installs it'
	echo '0 passed, 0 failed, 1 skipped'
	exit 0
}

# web_conf [LINE...]: nginx.conf, with these lines for every file.
web_conf() {
	local user=
	[ "$(id -u)" != 0 ] || user='user root;'
	mkdir -p "$W/web" "$W/checkpoints"
	[ -e "$W/web/ca.pem" ] || "$O/tests/restore/certs" "$W/web" || return
	cat >"$W/web/nginx.conf" <<-END
		daemon off;
		master_process off;
		$user
		pid $W/web/nginx.pid;
		error_log $W/web/error.log;
		events { worker_connections 256; }
		http {
			client_body_temp_path $W/web/body;
			proxy_temp_path $W/web/proxy;
			fastcgi_temp_path $W/web/fastcgi;
			uwsgi_temp_path $W/web/uwsgi;
			scgi_temp_path $W/web/scgi;
			log_format short '\$status \$request_method \$body_bytes_sent \$uri \$connection \$server_protocol';
			access_log $W/web/access.log short;
			server {
				listen 127.0.0.1:$WEB;
				listen 127.0.0.1:$TLS_WEB ssl http2;
				ssl_certificate $W/web/server.pem;
				ssl_certificate_key $W/web/server.key;
				root $W/checkpoints;
				location / { $* }
			}
		}
	END
}

# start_web [LINE...]: with these lines for every file.
start_web() {
	web_conf "$@" || return
	: >"$W/web/access.log"
	resume_web
}
resume_web() {
	nginx -p "$W/web" -c "$W/web/nginx.conf" -e "$W/web/error.log" >"$W/web/out" 2>&1 &
	NGINX=$!
	started "$NGINX"
	within 10 web_listens || wrong "no nginx: $(cat "$W/web/out" "$W/web/error.log")"
}
web_listens() { : 2>/dev/null <>"/dev/tcp/127.0.0.1/$WEB"; }

stop_web() {
	kill -QUIT "$NGINX"
	end_of "$NGINX" 10
}

# sent GREP: bytes of bodies whose line in the log has this, once all of it is written.
sent() { sleep 0.1; grep "$1" "$W/web/access.log" | awk '{ n += $3 } END { print n + 0 }'; }

# at_web [SCHEME]: IMAGES is CHECKPOINT behind the server.
at_web() {
	IMAGES=$SITE/$(basename "$CHECKPOINT")/images/
	[ "${1:-}" != https ] || IMAGES=${IMAGES/http:*:$WEB/https://127.0.0.1:$TLS_WEB}
}
