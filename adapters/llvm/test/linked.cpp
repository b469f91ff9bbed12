// What is linked into the test: an exception, and a reference to a variable of the C library by 32 bits.
#include <stdio.h>

struct Thrown {
  int Number;
};

static int throws(int Number) {
  if (Number > 0)
    throw Thrown{Number};
  return Number;
}

extern "C" {
int catches(int Number) {
  try {
    return throws(Number);
  } catch (const Thrown &Caught) {
    return Caught.Number + 100;
  }
}
int has_stderr() { return stderr != nullptr; }
}
