// Code that is made for a program at low addresses: it has the address of its table in 32 bits.
static const int Table[] = {1, 2, 3};
static const int *volatile Start = Table;

int low(void) {
  int sum = 0;
  for (const int *at = Start; at < Table + 3; ++at)
    sum += *at;
  return sum;
}
