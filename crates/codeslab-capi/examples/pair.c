/* Rounds of the example `pair`, which compiles this with the static library: one for each line of input, and what a pair took in it. */
#include <codeslab.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void check(codeslab_status status) {
  if (status != CODESLAB_OK)
    abort();
}

static void pair(codeslab_memory memory, const unsigned char *code) {
  codeslab_section section = {.size = 256, .align = 16, .protection = CODESLAB_READ_EXECUTE};
  codeslab_in_flight in_flight;
  codeslab_allocation allocation;
  check(codeslab_allocate(memory, &section, 1, NULL, 0, &in_flight));
  memcpy(section.bytes, code, 256);
  check(codeslab_finalize(in_flight, &allocation));
  check(codeslab_free(allocation));
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

int main(int count, char **arguments) {
  unsigned char code[256];
  codeslab_memory memory;
  int pairs = count == 2 ? atoi(arguments[1]) : 0;
  memset(code, 0xc3, sizeof code);
  check(codeslab_open(NULL, &memory));
  for (int each = getchar(); each != EOF; each = getchar()) {
    double start = now();
    for (int done = 0; done < pairs; ++done)
      pair(memory, code);
    printf("%.2f\n", (now() - start) / pairs);
    fflush(stdout);
  }
  return 0;
}
