/* What the stress needs of native code: to look at memory, to change it, and to run code in a forked child. */

#include <stdint.h>

/* FNV-1a, 32 bits. */
uint32_t hash(const uint8_t *bytes, uint64_t size) {
  uint32_t sum = 2166136261u;
  for (uint64_t i = 0; i < size; i++) sum = (sum ^ bytes[i]) * 16777619u;
  return sum;
}

void fill(uint8_t *bytes, uint64_t size, uint32_t value) {
  for (uint64_t i = 0; i < size; i++) ((volatile uint8_t *)bytes)[i] = (uint8_t)(value + i);
}

/* 0 if a function returns what it should, and memory is what it should be, in a child that the C library's fork makes. Windows has none. */
#ifdef _WIN32
int32_t look_in_child(uint32_t (*function)(void), uint32_t expected, const uint8_t *bytes, uint64_t size, uint32_t sum) {
  return function() == expected && hash(bytes, size) == sum ? 0 : 1;
}
#else
int fork(void);
int waitpid(int child, int *status, int options);
void _exit(int status);

int32_t look_in_child(uint32_t (*function)(void), uint32_t expected, const uint8_t *bytes, uint64_t size, uint32_t sum) {
  int child = fork(), status = 0;
  if (child == 0) _exit(function() == expected && hash(bytes, size) == sum ? 0 : 1);
  if (child < 0) return -1;
  return waitpid(child, &status, 0) == child ? status : -1;
}
#endif
