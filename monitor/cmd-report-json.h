/* SPDX-License-Identifier: MIT */
/*
 * Cmd report, JSON: what its files share.  Results are or-ed: 0, or -1 without memory.
 */
#ifndef MONITOR_CMD_REPORT_JSON_H
#define MONITOR_CMD_REPORT_JSON_H

#include <jansson.h>

#include "cmd-report.h"

/* The heat maps, by the order in which their mappings came. */
int report_json_heat(json_t *o, const struct report_view *v);
/* Who wrote, by function; nothing without chains. */
int report_json_functions(json_t *list, const struct report_view *v);

#endif
