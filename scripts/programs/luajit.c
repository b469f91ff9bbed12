/* LuaJIT: a state of its own, a script, and what that returned as text. */

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdio.h>

int run_script(const char *script, char *out, unsigned room) {
  lua_State *state = luaL_newstate();
  if (!state) return -1;
  luaL_openlibs(state);
  int status = luaL_dostring(state, script);
  int length = snprintf(out, room, "%s", lua_tostring(state, -1));
  lua_close(state);
  return status ? -length : length;
}
