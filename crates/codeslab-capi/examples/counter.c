// A function that counts its calls: code, a counter that it reaches by a displacement of 32 bits, and nothing writable that can be executed.
// cc counter.c $(pkg-config --cflags --libs codeslab) && ./a.out
#include <codeslab.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void check(codeslab_status status) {
  codeslab_error error;
  if (status == CODESLAB_OK) return;
  if (codeslab_last_error(&error) == CODESLAB_OK) fprintf(stderr, "%s: %s\n", error.code, error.text);
  exit(1);
}

int main(void) {
  codeslab_memory memory;
  check(codeslab_open(NULL, &memory));

  // mov eax, 1; lock xadd [rip + displacement], eax; inc eax; ret
  unsigned char code[] = {0xb8, 1, 0, 0, 0, 0xf0, 0x0f, 0xc1, 0x05, 0, 0, 0, 0, 0xff, 0xc0, 0xc3};
  codeslab_section sections[2];
  memset(sections, 0, sizeof sections);
  sections[0].protection = CODESLAB_READ_EXECUTE, sections[0].size = sizeof code, sections[0].align = 16;
  sections[1].protection = CODESLAB_READ_WRITE, sections[1].size = sizeof(int), sections[1].align = sizeof(int);

  codeslab_in_flight in_flight;
  check(codeslab_allocate(memory, sections, 2, NULL, 0, &in_flight));
  int displacement = (int)(sections[1].address - (sections[0].address + 13)); // In reach, wherever both are.
  memcpy(code + 9, &displacement, sizeof displacement);
  memcpy(sections[0].bytes, code, sizeof code);

  codeslab_allocation allocation;
  check(codeslab_finalize(in_flight, &allocation));
  int (*count)(void);
  memcpy(&count, &sections[0].address, sizeof count); // An object pointer is no function pointer in ISO C.
  printf("%d", count());
  printf(" %d", count());
  printf(" %d\n", count());

  check(codeslab_free(allocation));
  check(codeslab_close(memory));
  return codeslab_free(allocation) == CODESLAB_STALE_HANDLE ? 0 : 1;
}
