/* SPDX-License-Identifier: MIT */
/* Top: what its parts give each other. */
#ifndef MONITOR_CMD_TOP_H
#define MONITOR_CMD_TOP_H

#include "cmd-watch.h"
#include "top-view.h"

/* --once: the tables as text, or one object; EXIT_OK, or the status after saying why not. */
int top_print_text(const struct top_view *v, const struct watched *w);
int top_print_json(const struct top_view *v, const struct watched *w, const struct cmd_watch *c);

#endif
