/* Counters of a program, and whether the unwinder knows a table for an address. */

long constructed, destroyed, made, unmade, left;

struct bases {
  void *text, *data, *function;
};
const void *_Unwind_Find_FDE(void *, struct bases *);

int is_known(void *address) {
  struct bases bases;
  return _Unwind_Find_FDE(address, &bases) != 0;
}
