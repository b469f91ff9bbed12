/* Makes functions of V8 whose C function is bare code: what a call of this kind costs at least, whoever makes it. bench/floor.ts links
 * this, passes what V8 is told of the types, and gets the function as a property of the global object.
 *
 * A `Local` is one pointer, which C++ passes in a register, so that C can call these functions by the names that C++ gave them. */
#include <stdint.h>

typedef void *local;

extern void *current_isolate(void) __asm__("_ZN2v87Isolate13TryGetCurrentEv");
extern local current_context(void *isolate) __asm__("_ZN2v87Isolate17GetCurrentContextEv");
extern local global_of(local context) __asm__("_ZN2v87Context6GlobalEv");
extern local new_string(void *isolate, const char *text, int type, int length)
    __asm__("_ZN2v86String11NewFromUtf8EPNS_7IsolateEPKcNS_13NewStringTypeEi");
extern local new_template(void *isolate, void (*callback)(const void *), local data, local signature, int length,
                          int constructs, int side_effects, const void *function, uint16_t, uint16_t, uint16_t)
    __asm__("_ZN2v816FunctionTemplate3NewEPNS_7IsolateEPFvRKNS_20FunctionCallbackInfoINS_5ValueEEEENS_5LocalIS4_EE"
            "NSA_INS_9SignatureEEEiNS_19ConstructorBehaviorENS_14SideEffectTypeEPKNS_9CFunctionEttt");
extern local get_function(local template, local context)
    __asm__("_ZN2v816FunctionTemplate11GetFunctionENS_5LocalINS_7ContextEEE");
extern uint16_t set(local object, local context, local key, local value)
    __asm__("_ZN2v86Object3SetENS_5LocalINS_7ContextEEENS1_INS_5ValueEEES5_");

static int64_t slow_calls;

/* What V8 calls before it has compiled the caller. */
static void slow(const void *info) {
  (void)info;
  slow_calls++;
}

int64_t count_slow(void) { return slow_calls; }

void make(const char *name, const void *target, const void *info) {
  const void *function[] = {target, info};
  void *isolate = current_isolate();
  local context = current_context(isolate);
  local template = new_template(isolate, slow, 0, 0, 0, 0, 0, function, 0, 0, 0);
  set(global_of(context), context, new_string(isolate, name, 0, -1), get_function(template, context));
}
