/* What every plugin of examples/plugins.ts has, and what the program offers to plugins. */

#include <stddef.h>

#define PLUGIN_INTERFACE 1

/* Of the plugin: the interface that it was compiled for, and what it does to a text. The result's length, or 0 if there is no room. */
extern const int plugin_interface;
size_t transform(const char *text, char *result, size_t room);

/* Of the program. */
void host_log(const char *line);
