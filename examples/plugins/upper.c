#include "plugin.h"

#include <ctype.h>
#include <string.h>

const int plugin_interface = PLUGIN_INTERFACE;

size_t transform(const char *text, char *result, size_t room) {
  size_t length = strlen(text);
  if (length > room)
    return 0;
  for (size_t at = 0; at < length; at++)
    result[at] = (char)toupper((unsigned char)text[at]);
  return length;
}
