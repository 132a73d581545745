#!/usr/bin/env bash
# Tests Debian's proxies in front of the example `echo`, each with its snippet of docs/proxies. Also tests a newer Caddy over HTTP/3,
# and three proxies that forbid a path, in front of a server of tests/server.
#
# `PROGRAMS=DIRECTORY ci/proxies.sh` uses the programs in that directory, such as `target/debug`, instead of building them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
PATH=$PATH:/usr/sbin

# shellcheck source=ci/packages.sh
source ci/packages.sh
packages apache2=apache2-bin caddy=caddy chromium=chromium haproxy=haproxy nghttpx=nghttp2-proxy nginx=nginx-light
[[ -d ci/interop/node/node_modules ]] || npm ci --prefix ci/interop/node --no-fund --no-audit --loglevel=error
# Debian's Caddy does not support WebSockets over HTTP/3.
venv=target/http3-venv
python3 -m venv "$venv"
"$venv/bin/pip" install --quiet --disable-pip-version-check -r ci/http3/requirements.txt

# shellcheck source=ci/suites.sh
source ci/suites.sh
programs

# The address of each proxy, and the address at which the suite itself sits between a proxy and the example.
proxies=(
    NGINX NGINX_BRIEF NGINX_DEFAULT_HOST NGINX_LISTED NGINX_NAMED NGINX_PORTLESS APACHE APACHE_BRIEF CADDY
    HAPROXY HAPROXY_BRIEF HAPROXY_HTTP2 HAPROXY_HTTP2_BRIEF HAPROXY_SHARED HAPROXY_BARE
    NGHTTPX NGHTTPX_BRIEF NGHTTPX_HTTP2
    NGINX_FORBIDS HAPROXY_FORBIDS APACHE_FORBIDS CADDY_HTTP3
)
taps=(HAPROXY_HTTP2_TAP HAPROXY_SHARED_TAP HAPROXY_BARE_TAP NGHTTPX_HTTP2_TAP)
addresses=("${proxies[@]}" "${taps[@]}" SMUGGLED_TO)
# Below the ports that the system gives to outgoing connections, which could take a port before its proxy does.
free_ports() {
    node -e '
        const net = require("net");
        const isFree = (port) => new Promise((done) => {
            const server = net.createServer().on("error", () => done(false));
            server.listen(port, "127.0.0.1", () => server.close(() => done(true)));
        });
        (async () => {
            let port = 20000 + Math.floor(Math.random() * 10000);
            for (let count = 0; count < process.argv[1]; port++) {
                if (await isFree(port)) { console.log(port); count++; }
            }
        })();' "$1"
}
mapfile -t ports < <(free_ports ${#addresses[@]})
for i in "${!addresses[@]}"; do
    export "${addresses[i]}=127.0.0.1:${ports[i]}"
done

any=127.0.0.1:0
start ECHO echo --addr $any --subprotocol v2.chat --subprotocol v1.chat
start LISTS_PUBLIC echo --addr $any --allow-origin "http://$NGINX_LISTED"
export ECHO_LOG=$work/ECHO

# The proxies run as the user nobody, who needs to read and write here. They run without the variables above, because nginx uses
# `NGINX` itself.
chmod 711 "$work"
run=$work/run
mkdir -m 777 "$run"
unprivileged=(env -i "PATH=$PATH" "HOME=$run" "XDG_CONFIG_HOME=$run" "XDG_DATA_HOME=$run")
((EUID != 0)) || unprivileged+=(setpriv --reuid=nobody --regid=nogroup --clear-groups)

# snippet FILE ADDRESS UPSTREAM [SED...]: the snippet with these addresses, changed by the SED expressions.
snippet() {
    local file=$1 address=$2 upstream=$3
    shift 3
    sed -E -e "s/\b8080\b/${address#*:}/; s/\b3000\b/${upstream#*:}/" "${@/#/--expression=}" "docs/proxies/$file"
}

# launch NAME COMMAND...: runs the command until the script ends.
launch() {
    local name=$1
    shift
    install -m 666 /dev/null "$work/$name.stderr" # which Apache opens again
    "${unprivileged[@]}" "$@" >"$work/$name.stdout" 2>"$work/$name.stderr" &
    pids+=($!)
}

# listens VARIABLE...: waits until a program listens on the address in each variable.
listens() {
    for variable in "$@"; do
        for ((i = 0; i < 100; i++)); do
            if (: <"/dev/tcp/${!variable/://}") 2>/dev/null; then continue 2; fi
            sleep 0.1
        done
        echo "nothing listens for $variable" >&2
        return 1
    done
}

no_host='/proxy_set_header Host/d'
cat >"$run/nginx.conf" <<END
daemon off;
pid $run/nginx.pid;
events {}
http {
    access_log off;
    client_body_temp_path $run/client_body;
    fastcgi_temp_path $run/fastcgi;
    proxy_temp_path $run/proxy;
    scgi_temp_path $run/scgi;
    uwsgi_temp_path $run/uwsgi;
    upstream app { server $ECHO; }
$(
    snippet nginx.conf "$NGINX" "$ECHO"
    snippet nginx.conf "$NGINX_BRIEF" "$ECHO" 's/\b1h;/1s;/'
    snippet nginx.conf "$NGINX_DEFAULT_HOST" "$ECHO" "$no_host"
    snippet nginx.conf "$NGINX_LISTED" "$LISTS_PUBLIC" "$no_host"
    snippet nginx.conf "$NGINX_NAMED" app "$no_host" 's|//127.0.0.1:app|//app|'
    # shellcheck disable=SC2016
    snippet nginx.conf "$NGINX_PORTLESS" "$ECHO" 's/\$http_host;/$host;/'
    # Any path may be upgraded, except the forbidden one.
    snippet nginx.conf "$NGINX_FORBIDS" "$SMUGGLED_TO" 's|location /ws|location = /admin { return 403; }\n    location ~ .|'
)
}
END
launch nginx nginx -e stderr -p "$run" -c "$run/nginx.conf"

modules=/usr/lib/apache2/modules
cat >"$run/apache.conf" <<END
LoadModule mpm_event_module $modules/mod_mpm_event.so
LoadModule authz_core_module $modules/mod_authz_core.so
LoadModule proxy_module $modules/mod_proxy.so
LoadModule proxy_http_module $modules/mod_proxy_http.so
ServerRoot $run
ServerName 127.0.0.1
DefaultRuntimeDir $run
PidFile $run/apache.pid
ErrorLog /dev/stderr
Timeout 1
$(
    snippet apache.conf "$APACHE" "$ECHO"
    snippet apache.conf "$APACHE_BRIEF" "$ECHO" 's/\btimeout=3600/timeout=1/'
    snippet apache.conf "$APACHE_FORBIDS" "$SMUGGLED_TO" \
        's|ProxyPreserveHost On|&\n<Location "/admin">\nRequire all denied\n</Location>|'
)
END
launch apache apache2 -DFOREGROUND -f "$run/apache.conf"

printf '{\n\tadmin off\n}\n' | cat - <(snippet Caddyfile "$CADDY" "$ECHO") >"$run/Caddyfile"
launch caddy caddy run --adapter caddyfile --config "$run/Caddyfile"

install -m 755 "$venv/bin/caddy" "$run/caddy-http3"
printf '{\n\tadmin off\n\tauto_https disable_redirects\n\tskip_install_trust\n}\n' |
    cat - <(snippet Caddyfile-http3 "$CADDY_HTTP3" "$ECHO" "s/8443/${CADDY_HTTP3#*:}/") >"$run/Caddyfile-http3"
launch caddy-http3 "$run/caddy-http3" run --adapter caddyfile --config "$run/Caddyfile-http3"

# launch_haproxy NAME FILE ADDRESS UPSTREAM [SED...]. Threads would not share their connections to the server.
printf 'global\n    nbthread 1\n' >"$run/global.cfg"
launch_haproxy() {
    local name=$1
    shift
    snippet "$@" >"$run/$name.cfg"
    launch "$name" haproxy -db -f "$run/global.cfg" -f "$run/$name.cfg"
}
shared='s/http-reuse safe/http-reuse always/; /http-request set-uri/d'
launch_haproxy haproxy haproxy.cfg "$HAPROXY" "$ECHO"
launch_haproxy haproxy-brief haproxy.cfg "$HAPROXY_BRIEF" "$ECHO" 's/\b1h$/1s/'
launch_haproxy haproxy-forbids haproxy.cfg "$HAPROXY_FORBIDS" "$SMUGGLED_TO" \
    's|default_backend app|http-request deny if { path /admin }\n    &|'
launch_haproxy haproxy-http2 haproxy-http2.cfg "$HAPROXY_HTTP2" "$HAPROXY_HTTP2_TAP"
launch_haproxy haproxy-http2-brief haproxy-http2.cfg "$HAPROXY_HTTP2_BRIEF" "$ECHO" 's/\b1h$/1s/'
launch_haproxy haproxy-shared haproxy-http2.cfg "$HAPROXY_SHARED" "$HAPROXY_SHARED_TAP" "$shared"
launch_haproxy haproxy-bare haproxy-http2.cfg "$HAPROXY_BARE" "$HAPROXY_BARE_TAP" "$shared" '/http-request deny/d'

launch_nghttpx() {
    local name=$1
    shift
    snippet nghttpx.conf "$@" >"$run/$name.conf"
    launch "$name" nghttpx --single-process --workers=1 --conf="$run/$name.conf"
}
launch_nghttpx nghttpx "$NGHTTPX" "$ECHO"
launch_nghttpx nghttpx-brief "$NGHTTPX_BRIEF" "$ECHO" 's/=1h$/=1s/'
launch_nghttpx nghttpx-http2 "$NGHTTPX_HTTP2" "$NGHTTPX_HTTP2_TAP" 's|proto=http/1.1|proto=h2|'

listens "${proxies[@]}"
suite "Proxies" node --test --test-reporter=spec ci/interop/node/proxies.mjs
suite "HTTP/3, with aioquic" env PYTHONDONTWRITEBYTECODE=1 HTTP3="$CADDY_HTTP3" "$venv/bin/python" ci/http3/suite.py
suite "HTTP/3, with Chromium" env HTTP3="$CADDY_HTTP3" node --test --test-reporter=spec ci/http3/browser.mjs
suite "Smuggling" cargo test --quiet --workspace --all-features --test server -- --ignored --exact \
    proxied::a_path_that_the_proxy_forbids_is_never_served_behind_a_refused_upgrade
conclude
