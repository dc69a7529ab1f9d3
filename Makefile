# pagetap - see `make help`.  Non-recursive, no configure step.
-include config.mk

VERSION = 0.1.0
O      ?= build
PREFIX ?= /usr/local
CFLAGS ?= -O2 -g
ARCH   ?= $(shell $(CC) -dumpmachine | cut -d- -f1)

PKGS    = jansson libnl-3.0 libnl-genl-3.0 libcap libzstd
cflags  = -std=gnu11 -D_GNU_SOURCE -Iinclude -Imonitor -Iinject -DPAGETAP_VERSION='"$(VERSION)"' \
	  -Wall -Wextra -Wshadow -Wvla -Wmissing-prototypes -Wstrict-prototypes -fPIC -fvisibility=hidden \
	  -pthread -MMD -MP $(shell pkg-config --cflags $(PKGS))
libs    = $(shell pkg-config --libs $(PKGS)) -lck -pthread
ifneq ($(WERROR),)
cflags += -Werror
endif
ifneq ($(SAN),)
cflags += -fsanitize=$(SAN) -fno-omit-frame-pointer
ldflags += -fsanitize=$(SAN)
endif

inject_o  := $(patsubst %.c,$(O)/%.o,$(filter-out inject/arch-%,$(wildcard inject/*.c)) inject/arch-$(ARCH).c)
monitor_o := $(patsubst %.c,$(O)/%.o,$(filter-out monitor/main.c,$(wildcard monitor/*.c monitor/*/*.c)))

ifeq ($(V),)
Q = @
say = @printf '  %-7s %s\n' $(1) $(2)
endif

all: $(O)/pagetap

$(O)/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(cflags) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<

$(O)/pagetap: $(O)/monitor/main.o $(monitor_o) $(inject_o)
	$(call say,LD,$@)
	$(Q)$(CC) $(ldflags) $(LDFLAGS) -o $@ $^ $(libs)

-include $(shell find $(O) -name '*.d' 2>/dev/null)
.PHONY: all
