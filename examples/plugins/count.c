#include "plugin.h"

#include <stdio.h>

const int plugin_interface = PLUGIN_INTERFACE;

/* Starts at zero whenever the plugin is loaded. */
static unsigned calls;

__attribute__((constructor)) static void loaded(void) { host_log("count is loaded"); }

__attribute__((destructor)) static void unloaded(void) {
  char line[64];
  snprintf(line, sizeof line, "count goes after %u calls", calls);
  host_log(line);
}

size_t transform(const char *text, char *result, size_t room) {
  int length = snprintf(result, room, "%u: %s", ++calls, text);
  return length < 0 || (size_t)length >= room ? 0 : (size_t)length;
}
