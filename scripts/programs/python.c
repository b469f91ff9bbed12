/* CPython, embedded: runs a script and gives the text that it leaves in `said`. */

#include <Python.h>
#include <string.h>

int start(void) {
  PyConfig config;
  PyConfig_InitIsolatedConfig(&config);
  PyStatus status = Py_InitializeFromConfig(&config);
  PyConfig_Clear(&config);
  return PyStatus_Exception(status) ? -1 : 0;
}

int run_script(const char *script, char *out, unsigned room) {
  PyObject *main = PyImport_AddModule("__main__");
  if (PyRun_SimpleString(script)) return -1;
  PyObject *said = PyObject_GetAttrString(main, "said");
  if (!said) return -2;
  const char *text = PyUnicode_AsUTF8(said);
  strncpy(out, text ? text : "", room);
  Py_DECREF(said);
  return (int)strlen(out);
}

int stop(void) { return Py_FinalizeEx(); }
