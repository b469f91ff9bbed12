/* What a compiler makes of ordinary C is what the demo links: functions, constants, a table of pointers, variables with and
   without initial values, calls into libc, a callback from libc and one from JavaScript. */

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Two arguments in registers. */
int32_t add(int32_t a, int32_t b) { return a + b; }

/* A constant that the code reads relative to its own address. */
double circle_area(double radius) {
  static const double pi = 3.14159265358979323846;
  return pi * radius * radius;
}

/* A table of pointers: every entry is an absolute address that the linker has to fill in. */
static const char *const planets[] = {"Mercury", "Venus", "Earth", "Mars", "Jupiter", "Saturn", "Uranus", "Neptune"};

uint32_t planet_name(uint32_t index, char *buffer, uint32_t size) {
  if (index >= sizeof planets / sizeof *planets)
    return 0;
  size_t length = strlen(planets[index]);
  if (length >= size)
    return 0;
  memcpy(buffer, planets[index], length + 1);
  return (uint32_t)length;
}

/* State that starts at a value (.data), and state that starts at zero (.bss). */
static int64_t next_ticket = 1000;
static uint32_t history[64];
static uint32_t history_length;

int64_t take_ticket(void) {
  history[history_length++ % 64]++;
  return next_ticket++;
}

uint32_t tickets_taken(void) { return history_length; }

/* libc calls back into code that codeslab has placed. */
static int ascending(const void *a, const void *b) {
  int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
  return (x > y) - (x < y);
}

void sort(int32_t *values, uint32_t count) { qsort(values, count, sizeof *values, ascending); }

/* A function pointer that JavaScript hands in: the address of any function, of this image or of another. */
int64_t square(int64_t value) { return value * value; }

int64_t sum_over(int64_t (*function)(int64_t), int64_t first, int64_t last) {
  int64_t sum = 0;
  for (int64_t value = first; value <= last; value++)
    sum += function(value);
  return sum;
}

/* Integers and floating point numbers together, more of each than there are registers. */
double weigh(int32_t a, double b, int64_t c, float d, uint8_t e, double f, uint16_t g, double h, int32_t i, double j,
             int64_t k, double l, int8_t m, double n, uint64_t o, double p, double q, double r) {
  return a + b * 2 + (double)c * 3 + d * 4 + e * 5 + f * 6 + g * 7 + h * 8 + i * 9 + j * 10 + (double)k * 11 + l * 12 +
         m * 13 + n * 14 + (double)o * 15 + p * 16 + q * 17 + sqrt(r) * 18;
}
