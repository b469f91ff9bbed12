/*
 * musl's C library beside that of the process.
 *
 * Two C libraries in a process disagree about one thing: what the thread pointer points to. So the thread gets one of musl's while musl
 * runs, and has its own again when musl returns. musl finds its environment and the auxiliary vector behind it, which are made for it here.
 */

#define _GNU_SOURCE
#include <errno.h>
#include <math.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>

void __init_libc(char **, char *);

static long call(long number, long first, long second) {
  long result;
  __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(first), "S"(second) : "rcx", "r11", "memory");
  return result;
}

enum { ARCH_PRCTL = 158, PRCTL = 157, SET_TID_ADDRESS = 218, SET_FS = 0x1002, GET_FS = 0x1003, GET_TID_ADDRESS = 40 };

static int compare(const void *one, const void *other) { return *(const int *)one - *(const int *)other; }

static int work(char *out, unsigned room) {
  int numbers[1000];
  unsigned state = 1;
  for (int i = 0; i < 1000; i++) numbers[i] = (int)((state = state * 1103515245 + 12345) >> 8);
  qsort(numbers, 1000, sizeof *numbers, compare);
  int sorted = 1;
  for (int i = 1; i < 1000; i++) sorted &= numbers[i - 1] <= numbers[i];
  regex_t expression;
  regmatch_t match[2];
  int matched = !regcomp(&expression, "([0-9]+)-x", REG_EXTENDED) && !regexec(&expression, "ab 1234-x", 2, match, 0);
  regfree(&expression);
  char *copy = malloc(100);
  strcpy(copy, "grows");
  copy = realloc(copy, 5000);
  errno = 0;
  strtol("99999999999999999999", 0, 10);
  char written[64] = "";
  FILE *file = fmemopen(written, sizeof written, "w");
  fprintf(file, "%05.1f|%-4d|%x", 2.25, 7, 255);
  fclose(file);
  wchar_t wide[8];
  int letters = (int)mbstowcs(wide, "abc", 8);
  int length = snprintf(out, room, "%d %d %s %d %s %d %.10g %a", sorted, matched ? (int)(match[1].rm_eo - match[1].rm_so) : -1, copy,
                        errno == ERANGE, written, letters, strtod("1.5e3", 0) + pow(2, 10), 0.75);
  free(copy);
  return length;
}

int run(char *out, unsigned room) {
  static unsigned char seed[16] = "sixteen letters";
  /* No environment, and of the auxiliary vector the page size and the random bytes. */
  static unsigned long vector[] = {0, 6, 4096, 25, (unsigned long)seed, 0, 0};
  unsigned long own = 0, id = 0;
  vector[4] = (unsigned long)seed;
  call(ARCH_PRCTL, GET_FS, (long)&own);
  int knows = call(PRCTL, GET_TID_ADDRESS, (long)&id) == 0;
  __init_libc((char **)vector, "codeslab");
  int length = work(out, room);
  if (knows) call(SET_TID_ADDRESS, (long)id, 0);
  call(ARCH_PRCTL, SET_FS, (long)own);
  return length;
}
