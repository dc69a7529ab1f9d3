# SPDX-License-Identifier: MIT
#
# pagetap.  One make, no configure step, nothing fetched but by `make deps`.
# `make help` says what there is.  A file config.mk may set any variable.
-include config.mk

VERSION  = 0.1.0
# Of the library's binary interface; 0 while it may still change.
SOVERSION = 0

O       ?= build
CFLAGS  ?= -O2 -g
# Not asked of the compiler: on a fresh machine `make deps` comes before it.
ARCH    ?= $(shell uname -m)
OBJCOPY ?= objcopy
PKG_CONFIG ?= pkg-config

PREFIX     ?= /usr/local
bindir     ?= $(PREFIX)/bin
libdir     ?= $(PREFIX)/lib
includedir ?= $(PREFIX)/include
datadir    ?= $(PREFIX)/share
mandir     ?= $(datadir)/man

# ---- what is needed --------------------------------------------------------

libraries  = jansson libnl-3.0 libnl-genl-3.0 libcap libseccomp libzstd libprotobuf-c gnutls libcurl libdw libelf

deps_build = build-essential pkg-config libjansson-dev libnl-3-dev libnl-genl-3-dev \
	     libcap-dev libseccomp-dev libck-dev libzstd-dev libbsd-dev uthash-dev \
	     libprotobuf-c-dev protobuf-c-compiler libgnutls28-dev libcurl4-gnutls-dev \
	     libdw-dev libelf-dev libiberty-dev \
	     $(if $(filter 0,$(WITH_NCURSES)),,libncurses-dev)
deps_tests = libcunit1-dev mandoc redis-server redis-tools sqlite3 jq python3 \
	     python3-jsonschema python3-prometheus-client strace gdb musl-tools gcc-aarch64-linux-gnu \
	     libc6-dev-arm64-cross zstd bash-completion zsh fish shellcheck util-linux \
	     procps libcap2-bin clang clang-tidy cppcheck libclang-rt-14-dev iproute2 xz-utils git \
	     python3-pyte postgresql memcached default-jre-headless nodejs golang-go nginx-light chromium
# What `make bench` holds us against; it goes without, and says so.
deps_bench = linux-perf strace gdb redis-server redis-tools sqlite3 python3 zstd util-linux

# ---- flags -----------------------------------------------------------------
# CFLAGS, CPPFLAGS, LDFLAGS and LDLIBS of the caller come last and so win.

# Asked once, and only when something is compiled: `make deps` may have to install it first.
pkg_absent = $(strip $(shell command -v $(PKG_CONFIG) >/dev/null || { echo $(PKG_CONFIG); exit; }; \
	$(PKG_CONFIG) --exists $(libraries) 2>/dev/null || for l in $(libraries); do \
		$(PKG_CONFIG) --exists $$l 2>/dev/null || echo $$l; done))
define pkg_found =
$(if $(pkg_absent),$(error missing: $(pkg_absent)
hint: on Debian `sudo make deps all` installs what is missing))
endef
pkg_cflags = $(pkg_found)$(eval pkg_cflags := $$(shell $(PKG_CONFIG) --cflags $(libraries)))$(pkg_cflags)
pkg_libs   = $(eval pkg_libs := $$(shell $(PKG_CONFIG) --libs $(libraries)))$(pkg_libs)

warnings = -Wall -Wextra -Wshadow -Wvla -Wmissing-prototypes -Wstrict-prototypes
language = -std=gnu11 -D_GNU_SOURCE -Iinclude -Imonitor -Iinject -I$(generated) \
	   -DPAGETAP_VERSION='"$(VERSION)"'
harden   = -fPIC -fstack-protector-strong
cflags   = $(language) $(warnings) $(harden) -pthread -MMD -MP
# Without it `top` shows nothing but --once.
ifeq ($(WITH_NCURSES),0)
language += -DWITHOUT_NCURSES
else
libraries += ncursesw
endif
libs     = $(pkg_libs) -lck -liberty -pthread

ifneq ($(WERROR),)
warnings += -Werror
endif
ifneq ($(SAN),)
sanitize = -fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer
# AddressSanitizer finds the same mistakes, and _FORTIFY_SOURCE hides some from it.
else
cflags  += $(if $(filter -O0,$(CFLAGS)),,-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
endif

compile   = $(CC) $(cflags) $(pkg_cflags) $(sanitize) $(CPPFLAGS) $(CFLAGS)
link      = $(CC) $(sanitize) -Wl,-z,relro,-z,now $(LDFLAGS)

ifeq ($(V),)
quiet = @
say   = @printf '  %-8s%s\n' $(1) $(2)
else
say   = @:
endif

# `make deps all` with -j: nothing is compiled before the packages are there.
after_deps = $(filter deps,$(MAKECMDGOALS))

# ---- what is built ---------------------------------------------------------

object      = $(patsubst %.c,$(O)/%.o,$(1))
program     = $(patsubst %.c,$(O)/%,$(1))

inject_c   := $(filter-out inject/arch-%,$(wildcard inject/*.c)) $(wildcard inject/arch-$(ARCH).c)
monitor_c  := $(filter-out monitor/main.c,$(wildcard monitor/*.c monitor/*/*.c))
unit_c     := $(wildcard tests/unit/test-*.c)
live_c     := $(wildcard tests/live/*.c)
target_c   := $(wildcard tests/target/*.c)
preload_c  := $(wildcard tests/preload/*.c)
bench_c    := $(wildcard tests/bench/*.c)
fuzz_c     := $(wildcard tests/fuzz/fuzz-*.c)

# Made by protoc-c: the messages of a CRIU checkpoint.
generated   = $(O)/generated
criu_h      = $(generated)/criu.pb-c.h
criu_c      = $(generated)/criu.pb-c.c

rooms       = $(O)/librooms.a
library_so  = $(O)/libpagetap.so.$(VERSION)

all: $(O)/pagetap $(O)/libpagetap.a $(O)/libpagetap.so $(O)/sqlite.sql $(O)/duckdb.sql

# Both come of one run.
$(criu_c): monitor/restore/criu.proto | $(after_deps)
	@mkdir -p $(@D)
	$(call say,PROTOC,$<)
	$(quiet)protoc-c --proto_path=$(<D) --c_out=$(@D) $<
$(criu_h): $(criu_c) ;

# The parts of a page, which the assembler includes and the compiler does not know of.
page_parts = $(wildcard monitor/report/page/* third_party/uplot/*)
$(O)/monitor/report/html-page.o $(O)/fuzz/monitor/report/html-page.o: $(page_parts)

# Who includes it, the compiler writes down; the first time there is nothing written.
$(call object,$(wildcard monitor/restore/image*.c)): | $(criu_h)
$(generated)/criu.pb-c.o: $(criu_c)
	$(call say,CC,$<)
	$(quiet)$(compile) -c -o $@ $<

$(O)/%.o: %.c | $(after_deps)
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(quiet)$(compile) -c -o $@ $<

$(O)/pagetap: $(O)/monitor/main.o $(rooms)
	$(call say,LD,$@)
	$(quiet)$(link) -o $@ $^ $(libs) $(LDLIBS)

# Everything but main(): what the program and the unit tests are linked with.
$(rooms): $(call object,$(monitor_c) $(inject_c)) $(generated)/criu.pb-c.o
	$(call say,AR,$@)
	$(quiet)rm -f $@ && $(AR) rcs $@ $^

# One object, so that the archive exports what the shared library exports, no more.
$(O)/libpagetap.a: $(call object,$(inject_c))
	$(call say,AR,$@)
	$(quiet)$(CC) -r -nostdlib -o $(O)/libpagetap.o $^
	$(quiet)$(OBJCOPY) --wildcard --keep-global-symbol='pagetap_*' $(O)/libpagetap.o
	$(quiet)rm -f $@ && $(AR) rcs $@ $(O)/libpagetap.o

$(library_so): $(call object,$(inject_c)) inject/libpagetap.map
	$(call say,LD,$@)
	$(quiet)$(link) -shared -Wl,-soname,libpagetap.so.$(SOVERSION) -Wl,--no-undefined \
		-Wl,--version-script=inject/libpagetap.map -o $@ $(filter %.o,$^) -pthread $(LDLIBS)

$(O)/libpagetap.so: $(library_so)
	$(quiet)ln -sf $(<F) $(O)/libpagetap.so.$(SOVERSION)
	$(quiet)ln -sf $(<F) $@

# What one dialect needs, and what both understand.
$(O)/%.sql: monitor/trace/sql/%.sql monitor/trace/sql/views.sql
	@mkdir -p $(@D)
	$(quiet)cat $^ > $@

# The same program, able to die or fail at each named phase of the injection.
$(O)/faults/%.o: %.c | $(after_deps)
	@mkdir -p $(@D)
	$(call say,CC,"$< (faults)")
	$(quiet)$(compile) -DPAGETAP_FAULTS -c -o $@ $<

faults_o = $(patsubst %.c,$(O)/faults/%.o,$(inject_c))
$(O)/pagetap-faults: $(O)/monitor/main.o $(faults_o) $(call object,$(monitor_c)) $(generated)/criu.pb-c.o
	$(call say,LD,$@)
	$(quiet)$(link) -o $@ $^ $(libs) $(LDLIBS)

# The library for the other architecture: compiled, not run.  See HACKING.md.
aarch64_c = $(filter-out inject/arch-%,$(wildcard inject/*.c)) inject/arch-aarch64.c
$(O)/aarch64/%.o: %.c | $(after_deps)
	@mkdir -p $(@D)
	$(call say,CC,"$< (aarch64)")
	$(quiet)aarch64-linux-gnu-gcc $(cflags) -Werror $(CFLAGS) -c -o $@ $<

aarch64: $(patsubst %.c,$(O)/aarch64/%.o,$(aarch64_c))

# ---- tests -----------------------------------------------------------------

# A test that wants more of the linker says so in its banner: ` * link: -Wl,--wrap=malloc`.
extra_link = $(shell sed -n 's/^ \* link: //p' $(1))

$(O)/tests/unit/%: tests/unit/%.c $(rooms) | $(after_deps)
	@mkdir -p $(@D)
	$(call say,TEST,$<)
	$(quiet)$(compile) -Itests/unit -MF $@.d -MT $@ -o $@ $< $(more_o) \
		$(rooms) $(call extra_link,$<) -lcunit $(libs) $(LDLIBS)

$(O)/tests/live/%: tests/live/%.c $(rooms) | $(after_deps)
	@mkdir -p $(@D)
	$(call say,TEST,$<)
	$(quiet)$(compile) -Itests/unit -MF $@.d -MT $@ -o $@ $< \
		$(rooms) $(call extra_link,$<) -lcunit $(libs) $(LDLIBS)

# What our parser makes of a checkpoint, to be held against CRIU's own.
$(O)/tests/restore/image-dump: $(O)/%: %.c $(rooms) | $(after_deps)
	@mkdir -p $(@D)
	$(call say,TEST,$<)
	$(quiet)$(compile) -MF $@.d -MT $@ -o $@ $< $(rooms) $(libs) $(LDLIBS)

$(O)/tests/restore/certs: $(O)/%: %.c tests/unit/certs.h | $(after_deps)
	@mkdir -p $(@D)
	$(call say,TEST,$<)
	$(quiet)$(compile) -Itests/unit -MF $@.d -MT $@ -o $@ $< $(libs) $(LDLIBS)

$(O)/tests/bench/%: tests/bench/%.c $(rooms) | $(after_deps)
	@mkdir -p $(@D)
	$(call say,BENCH,$<)
	$(quiet)$(compile) -MF $@.d -MT $@ -o $@ $< $(rooms) $(libs) $(LDLIBS)

# Targets know nothing of pagetap: no header, no library of ours.
$(O)/tests/target/%: tests/target/%.c | $(after_deps)
	@mkdir -p $(@D)
	$(call say,TARGET,$<)
	$(quiet)$(CC) -std=gnu11 -D_GNU_SOURCE $(warnings) -O2 -g -pthread -MMD -MP -MF $@.d -MT $@ \
		-o $@ $< $(call extra_link,$<)

# The judge reads traces with our reader; the rest of it is its own.
judge_o = $(call object,$(wildcard tests/judge/judge*.c))
judged_o = $(filter-out %/judge.o,$(judge_o))
$(O)/tests/unit/test-judge $(O)/tests/unit/test-judge-births: $(judged_o)
$(O)/tests/unit/test-judge $(O)/tests/unit/test-judge-births: more_o = $(judged_o)
$(O)/tests/judge/judge: $(judge_o) $(rooms)
	$(call say,LD,$@)
	$(quiet)$(link) -o $@ $^ $(libs) $(LDLIBS)

# What is judged knows nothing of pagetap, as any target.
$(O)/tests/judge/small $(O)/tests/judge/driver $(O)/tests/judge/slice: $(O)/%: %.c | $(after_deps)
	@mkdir -p $(@D)
	$(call say,TARGET,$<)
	$(quiet)$(CC) -std=gnu11 -D_GNU_SOURCE $(warnings) -O2 -g -pthread -MMD -MP -MF $@.d -MT $@ \
		-o $@ $<
$(O)/tests/judge/random: $(wildcard tests/judge/random*.c) tests/judge/random.h \
			 $(wildcard tests/judge/truth*.h) | $(after_deps)
	@mkdir -p $(@D)
	$(call say,TARGET,$@)
	$(quiet)$(CC) -std=gnu11 -D_GNU_SOURCE $(warnings) -O2 -g -pthread -o $@ $(filter %.c,$^)
judged = $(addprefix $(O)/tests/judge/,judge small driver slice random)

# What is restored knows nothing of pagetap either.
restored = $(O)/tests/restore/known
$(restored): $(wildcard tests/restore/known*.c) tests/restore/known.h | $(after_deps)
	@mkdir -p $(@D)
	$(call say,TARGET,$@)
	$(quiet)$(CC) -std=gnu11 -D_GNU_SOURCE $(warnings) -O2 -g -pthread -o $@ $(filter %.c,$^)

tests_built = $(call program,$(unit_c) $(live_c) $(target_c)) $(judged) $(restored)

# Preloaded into the program under test; knows nothing of it either.
$(O)/tests/preload/%.so: tests/preload/%.c | $(after_deps)
	@mkdir -p $(@D)
	$(call say,PRELOAD,$<)
	$(quiet)$(CC) -std=gnu11 -D_GNU_SOURCE $(warnings) $(pkg_cflags) -O2 -g -fPIC -shared -o $@ $<

preloads    = $(patsubst %.c,$(O)/%.so,$(preload_c))
tests: $(preloads)

tests: all $(tests_built) $(O)/pagetap-faults $(O)/tests/restore/image-dump $(O)/tests/restore/certs
unit: $(call program,$(unit_c))

# `make check T='unit/* live/redis'` runs some of them.
check: tests
	@O='$(O)' CC='$(CC)' MAKE='$(MAKE)' sh tests/run $(T)

# Every case of tests/catalogue.txt with what the tests saw; runs what has not been run.
catalogue: tests
	@O='$(O)' CC='$(CC)' MAKE='$(MAKE)' sh tests/catalogue.sh

# So many seeds of a target that knows the truth, each judged page by page.
SEEDS   ?= 20
THREADS ?= 4
judge: all $(judged)
	@O='$(O)' bash tests/judge/run.sh --seeds $(SEEDS) --threads $(THREADS) $(JUDGE)

# Every allocation and every system call, each in a run of its own: hours.
.PHONY: sweep
sweep: tests
	@O='$(O)' SWEEP_SECONDS=0 $(O)/tests/live/live-sweep

# For SECONDS: is everything told, and does the monitor stay as it is?
SECONDS ?= 3600
soak: all $(judged)
	@O='$(O)' bash tests/judge/soak.sh $(SECONDS) --csv '$(O)/soak.csv' $(SOAK)

# Real recordings by a program that watches itself: ASan and UBSan, then TSan.
sanitized ?= live/ends live/trace live/top live/follow live/truth live/strain live/kill cli/output \
	     live/report live/restore live/restore-command live/restore-trace live/page-server live/http
sanitize-live:
	@$(MAKE) -s O='$(O)/asan' SAN=address,undefined CFLAGS='-O1 -g' tests
	@O='$(O)/asan' MAKE='$(MAKE)' sh tests/sanitize-live.sh $(sanitized)
	@$(MAKE) -s O='$(O)/tsan' SAN=thread CFLAGS='-O1 -g' tests
	@O='$(O)/tsan' MAKE='$(MAKE)' sh tests/sanitize-live.sh $(sanitized)

# The monitor killed N times under load, and 20 times at each phase of attaching.
N ?= 1000
.PHONY: kills sanitize-live
kills: tests
	@O='$(abspath $(O))' PAGETAP='$(abspath $(O))/pagetap' SRC='$(CURDIR)' \
		PAGETAP_FAULTS_PROGRAM='$(abspath $(O))/pagetap-faults' \
		KILLS='$(N)' PHASE_TIMES=20 bash tests/live/kill.sh

# Larger restores, and more at once, than `make check` has time for; DAEMON=criu for CRIU's.
.PHONY: restores
restores: tests
	@O='$(abspath $(O))' PAGETAP='$(abspath $(O))/pagetap' SRC='$(CURDIR)' LARGE=1024 CLONES=20 \
		KILLS=20 KILLS_AT='0 1 50 99' PATIENCE=120 bash tests/live/restore.sh
	@O='$(abspath $(O))' PAGETAP='$(abspath $(O))/pagetap' SRC='$(CURDIR)' KILLS=20 \
		KILLS_AT='0 1 50 99 100' MESSAGES='1 2 3 5 8 13' bash tests/live/restore-killed.sh

# `make bench B='first-write attach'` measures some of it; ROUNDS=1 is a quick look.
bench: all $(call program,$(bench_c)) $(restored)
	@O='$(O)' PYTHONDONTWRITEBYTECODE=1 python3 tests/bench/run.py $(B)

# Those of the README, of a recording of the demo; the machine they are made on is nobody's business.
.PHONY: pictures
pictures: all
	@mkdir -p '$(O)/pictures'
	@$(O)/pagetap demo -q -d 6 -o '$(O)/pictures/made.ndjson'
	@sed '1s/"host":"[^"]*"/"host":"db1"/; 1s/"kernel":"[^"]*"/"kernel":"6.18.0"/; s|"exe":"[^"]*/|"exe":"/usr/bin/|' \
		'$(O)/pictures/made.ndjson' > '$(O)/pictures/demo.ndjson'
	@cd '$(O)/pictures' && '$(abspath $(O))/pagetap' report -q --html demo.html demo.ndjson
	@python3 -B tests/html/pictures.py '$(O)/pictures/demo.html' man/pictures

# Which lines the tests reach, by room; clang counts, as gcc's counters die with a process.
# Without the suites that do the same for long; WANTED in coverage.py says what is enough.
covered ?= unit/* cli/* live/live-* live/restore* live/page-server live/http live/async live/budget \
	   live/ends live/follow live/guard live/hostile live/lib-load live/limits live/memory \
	   live/privileges live/report live/shapes live/strain live/top live/trace live/who \
	   live/witness live/writers
.PHONY: coverage
coverage:
	@$(MAKE) -s O='$(O)/cov' CC=clang LDFLAGS=-fprofile-instr-generate CFLAGS="-O1 -g \
		-fprofile-instr-generate='$(abspath $(O))/cov/profiles/%m%c.profraw' \
		-fcoverage-mapping -mllvm -runtime-counter-relocation" tests
	@O='$(O)/cov' sh tests/coverage.sh $(covered)

lint: all
	@O='$(O)' CC='$(CC)' sh tests/lint.sh --all

# Fuzzers are built by clang from the sources, so that coverage reaches every room.
fuzz_seconds ?= 30
fuzz_o = $(patsubst %.c,$(O)/fuzz/%.o,$(monitor_c) $(inject_c)) $(O)/fuzz/criu.pb-c.o
# Prerequisites of a pattern alone: make would remove them when it is done.
.SECONDARY: $(fuzz_o)
$(O)/fuzz/%.o: %.c | $(after_deps)
	@mkdir -p $(@D)
	$(call say,CC,"$< (fuzz)")
	$(quiet)clang $(cflags) $(pkg_cflags) -O1 -g -fsanitize=fuzzer-no-link,address,undefined -c -o $@ $<

$(patsubst %.c,$(O)/fuzz/%.o,$(wildcard monitor/restore/image*.c)): | $(criu_h)
$(O)/fuzz/criu.pb-c.o: $(criu_c)
	@mkdir -p $(@D)
	$(call say,CC,"$< (fuzz)")
	$(quiet)clang $(cflags) $(pkg_cflags) -O1 -g -fsanitize=fuzzer-no-link,address,undefined -c -o $@ $<

$(O)/tests/fuzz/%: tests/fuzz/%.c $(fuzz_o) | $(after_deps)
	@mkdir -p $(@D)
	$(call say,FUZZ,$<)
	$(quiet)clang $(filter-out -MMD -MP,$(cflags)) $(pkg_cflags) -O1 -g \
		-fsanitize=fuzzer,address,undefined -o $@ $< $(fuzz_o) $(libs)

fuzz: $(call program,$(fuzz_c))
	@O='$(O)' SECONDS_EACH='$(fuzz_seconds)' sh tests/fuzz/run.sh

fresh: ; @bash tests/fresh/run.sh

# What it says to look with next can be typed by who has called sudo, from here.
demo: $(O)/pagetap
	@$(O)/pagetap demo -o '$(O)/demo.ndjson'
	@[ -z "$$SUDO_UID" ] || chown "$$SUDO_UID" '$(O)/demo.ndjson'
	@command -v pagetap >/dev/null || echo 'not installed: say $(O)/pagetap, or sudo make install first'

# ---- installing what is needed ---------------------------------------------

# `make deps demo` is satisfied with less than `make deps check`.
few_goals  = $(filter all demo install,$(MAKECMDGOALS))
more_goals = $(filter-out deps all demo install uninstall dist clean help,$(MAKECMDGOALS))
deps_wanted = $(deps_build) $(if $(more_goals),$(deps_tests),$(if $(few_goals),,$(deps_tests)))

bench-deps: deps_wanted = $(deps_build) $(deps_bench)

# CRIU is put aside for the tests, not installed: Debian 12 has one that is too old.
wants_criu = $(filter libcunit1-dev linux-perf,$(deps_wanted))

# deps_absent: a package a line.
deps_absent = for p in $(sort $(deps_wanted)); do \
		dpkg-query -W -f='$${db:Status-Status}\n' $$p 2>/dev/null | grep -qx installed || echo $$p; \
	done

# A service that a package would start is not: the tests run their own instances.
deps bench-deps:
	@missing=$$($(deps_absent) | tr '\n' ' '); [ -n "$$missing" ] || exit 0; \
	complain() { echo "make $@: $$1" >&2; echo "hint: $$2" >&2; exit 1; }; \
	command -v apt-get >/dev/null || complain "there is no apt-get here to install $$missing" \
		'those are names of Debian 12; install what they are called here, then leave deps out'; \
	[ "$$(id -u)" = 0 ] || complain "only root can install $$missing" 'sudo make $(MAKECMDGOALS)'; \
	echo "  APT     $$missing"; \
	mkdir -p '$(O)'; export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1; \
	{ apt-get update -q && apt-get install -y -q --no-install-recommends $$missing; } \
		>'$(O)/deps.log' 2>&1 || { grep '^E:' '$(O)/deps.log' | tail -n 3 >&2; \
		complain "apt-get could not install $$($(deps_absent) | tr '\n' ' ')" \
		$(if $(filter libcunit1-dev,$(deps_wanted)),'the program itself wants less: sudo make deps all', \
			'all that it said is in $(O)/deps.log'); }
	$(if $(wants_criu),@sh tests/restore/get-criu.sh '$(O)/criu' || echo '  no CRIU: nothing will be restored')

# ---- installing ------------------------------------------------------------

completions_bash = $(datadir)/bash-completion/completions
completions_zsh  = $(datadir)/zsh/site-functions
completions_fish = $(datadir)/fish/vendor_completions.d

# source:destination:mode, read by install and uninstall alike.
manual    = $(foreach page,$(wildcard man/*.[1357]),$(page):$(mandir)/man$(subst .,,$(suffix $(page)))/$(notdir $(page)):644)
pictures  = $(foreach p,$(wildcard man/pictures/*.png),$(p):$(datadir)/doc/pagetap/$(p):644)
installed = $(O)/pagetap:$(bindir)/pagetap:755 \
	    $(O)/libpagetap.a:$(libdir)/libpagetap.a:644 \
	    $(library_so):$(libdir)/libpagetap.so.$(VERSION):644 \
	    inject/pagetap.pc.in:$(libdir)/pkgconfig/pagetap.pc:644 \
	    include/pagetap/inject.h:$(includedir)/pagetap/inject.h:644 \
	    include/pagetap/trace.h:$(includedir)/pagetap/trace.h:644 \
	    monitor/trace/trace-1.schema.json:$(datadir)/pagetap/trace-1.schema.json:644 \
	    $(O)/sqlite.sql:$(datadir)/pagetap/sqlite.sql:644 \
	    $(O)/duckdb.sql:$(datadir)/pagetap/duckdb.sql:644 \
	    completions/pagetap.bash:$(completions_bash)/pagetap:644 \
	    completions/_pagetap:$(completions_zsh)/_pagetap:644 \
	    completions/pagetap.fish:$(completions_fish)/pagetap.fish:644 \
	    README.md:$(datadir)/doc/pagetap/README.md:644 \
	    NEWS.md:$(datadir)/doc/pagetap/NEWS.md:644 \
	    COPYING:$(datadir)/doc/pagetap/COPYING:644 \
	    $(pictures) \
	    $(manual)
so_links  = $(libdir)/libpagetap.so.$(SOVERSION) $(libdir)/libpagetap.so
# Ours, and those that a system may have had to be given for us: none is removed but empty.
our_dirs  = $(includedir)/pagetap $(datadir)/pagetap $(datadir)/doc/pagetap/man/pictures \
	    $(datadir)/doc/pagetap/man $(datadir)/doc/pagetap $(datadir)/doc $(libdir)/pkgconfig \
	    $(addprefix $(mandir)/man,1 3 5 7) $(completions_bash) $(dir $(completions_bash)) \
	    $(completions_zsh) $(dir $(completions_zsh)) $(completions_fish) $(dir $(completions_fish))

# The loader finds a library in a folder of its own list after it was told of it.
tell_loader = [ -n "$(DESTDIR)" ] || ! PATH="$$PATH:/sbin" ldconfig -NXv 2>/dev/null | \
	grep -q '^$(libdir):' || PATH="$$PATH:/sbin" ldconfig || :

# pagetap.pc says PREFIX; who installs need not be who built, and may write nothing in $(O).
install: all
	$(quiet)set -e; for f in $(installed); do \
		from=$${f%%:*}; rest=$${f#*:}; to=$${rest%:*}; \
		install -D -m $${f##*:} "$$from" "$(DESTDIR)$$to"; \
	done
	$(quiet)sed -e 's|@prefix@|$(PREFIX)|g' -e 's|@libdir@|$(libdir)|g' \
		-e 's|@includedir@|$(includedir)|g' -e 's|@version@|$(VERSION)|g' \
		inject/pagetap.pc.in > "$(DESTDIR)$(libdir)/pkgconfig/pagetap.pc"
	$(quiet)for l in $(so_links); do ln -sf libpagetap.so.$(VERSION) "$(DESTDIR)$$l"; done
	$(quiet)$(tell_loader)
	@echo '  INSTALL $(DESTDIR)$(PREFIX)'

uninstall:
	$(quiet)for f in $(installed); do \
		rest=$${f#*:}; rm -f "$(DESTDIR)$${rest%:*}"; \
	done
	$(quiet)for l in $(so_links); do rm -f "$(DESTDIR)$$l"; done
	$(quiet)$(tell_loader)
	$(quiet)for d in $(our_dirs); do \
		[ ! -d "$(DESTDIR)$$d" ] || rmdir --ignore-fail-on-non-empty "$(DESTDIR)$$d"; \
	done

# Of what is committed; the same commit gives the same bytes.
dist_name = pagetap-$(VERSION)
dist:
	@git ls-files --error-unmatch Makefile >/dev/null 2>&1 || \
		{ echo 'make dist: this is no git repository of pagetap' >&2; \
		  echo 'hint: an archive is made of what is committed' >&2; exit 1; }
	@mkdir -p $(O)
	$(quiet)git -c tar.umask=0022 archive --format=tar --prefix=$(dist_name)/ \
		-o $(O)/$(dist_name).tar HEAD
	$(quiet)gzip -n -9 -f $(O)/$(dist_name).tar
	@echo '  DIST    $(O)/$(dist_name).tar.gz'

clean:
	rm -rf $(O)

help:
	@echo 'make            the program, libpagetap.a and .so in $$(O), which is $(O)/'
	@echo 'make deps       install what is missing (Debian packages; needs root); a CRIU in $$(O)'
	@echo 'make demo       watch a small process for some seconds'
	@echo 'make check      all tests; T="unit/* live/redis" for some of them'
	@echo 'make tests      build what check runs; unit: what needs no privileges'
	@echo 'make catalogue  every case that must hold, with the result seen'
	@echo 'make judge      traces against the truth: SEEDS=20 THREADS=4'
	@echo 'make kills      the monitor killed N=1000 times, 20 times at each phase'
	@echo 'make sanitize-live  real recordings under ASan, UBSan and TSan'
	@echo 'make sweep      every allocation, every system call fails once: hours'
	@echo 'make soak       the same for SECONDS=3600 under one monitor, whose size is watched'
	@echo 'make restores   lazy restores of 1 GiB, of 20 clones at once, with 160 dead page servers'
	@echo 'make bench      what watching costs, against not watching and other tools: 20 minutes'
	@echo 'make bench-deps install what it measures against (perf, strace, gdb, redis, sqlite)'
	@echo 'make coverage   lines that the tests reach, by room'
	@echo 'make fuzz       each fuzzer for fuzz_seconds=30'
	@echo 'make pictures   those of the README, anew'
	@echo 'make lint       every checker, also the slow ones'
	@echo 'make aarch64    compile the library for the other architecture'
	@echo 'make fresh      what a newcomer does, in an empty Debian 12: half an hour'
	@echo 'make install uninstall dist clean'
	@echo
	@echo 'Variables: O= CC= CFLAGS= PREFIX= DESTDIR= bindir= libdir= includedir= mandir='
	@echo '           datadir= SAN=address,undefined WERROR=1 V=1 WITH_NCURSES=0'

-include $(shell find $(O) -name criu -prune -o -name '*.d' -print 2>/dev/null)
.DELETE_ON_ERROR:
.PHONY: all tests unit check judge soak catalogue bench lint fuzz fresh demo deps bench-deps install uninstall dist clean help aarch64
