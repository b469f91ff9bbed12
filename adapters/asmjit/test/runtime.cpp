// asmjit on codeslab: functions that are added, called and released; far calls and near ones; errors. Prints a line for each.

#include <codeslab/AsmJitRuntime.h>

#include <cstdio>
#include <cstdlib>
#include <vector>

using asmjit::CodeHolder;
using asmjit::Label;
namespace x86 = asmjit::x86;

static int Failures = 0;

static void check(bool IsGood, const char *What) {
  std::printf("%s %s\n", IsGood ? "ok" : "FAILED", What);
  Failures += IsGood ? 0 : 1;
}

static codeslab_statistics stats(const codeslab::AsmJitRuntime &Runtime) {
  codeslab_statistics Stats;
  std::memset(&Stats, 0, sizeof Stats);
  if (codeslab_stats(Runtime.memory(), &Stats) != CODESLAB_OK)
    std::abort();
  return Stats;
}

typedef int (*Nullary)();
typedef long (*Unary)(long);

static Nullary constant(codeslab::AsmJitRuntime &Runtime, int Number) {
  CodeHolder Code;
  Code.init(Runtime.environment());
  x86::Assembler A(&Code);
  // A constant of a section of its own, read through rip.
  Label Table = A.newLabel();
  A.mov(x86::eax, x86::dword_ptr(Table));
  A.ret();
  asmjit::Section *Data;
  Code.newSection(&Data, ".data", SIZE_MAX, asmjit::SectionFlags::kNone, 8);
  A.section(Data);
  A.bind(Table);
  A.embedInt32(Number);
  Nullary Function;
  return Runtime.add(&Function, &Code) == asmjit::kErrorOk ? Function : nullptr;
}

/// A function that calls labs, and how many bytes it takes.
static uint64_t calling(codeslab::AsmJitRuntime &Runtime, Unary &Function) {
  uint64_t Before = stats(Runtime).used_bytes;
  CodeHolder Code;
  Code.init(Runtime.environment());
  x86::Assembler A(&Code);
  A.sub(x86::rsp, 8);
  for (int I = 0; I < 4; ++I) {
    A.call(reinterpret_cast<uint64_t>(static_cast<Unary>(std::labs)));
    A.mov(x86::rdi, x86::rax);
  }
  A.add(x86::rsp, 8);
  A.ret();
  if (Runtime.add(&Function, &Code) != asmjit::kErrorOk)
    return 0;
  return stats(Runtime).used_bytes - Before;
}

int main() {
  codeslab::AsmJitRuntime Runtime;
  std::vector<Nullary> Functions;
  bool IsRight = true;
  for (int Number = 0; Number < 10000; ++Number) {
    Functions.push_back(constant(Runtime, Number));
    IsRight = IsRight && Functions.back() && Functions.back()() == Number;
  }
  check(IsRight, "10,000 functions return what they were made for");
  check(stats(Runtime).live == 10000 && stats(Runtime).blocks == 1, "they lie in one block");
  for (Nullary Function : Functions)
    IsRight = IsRight && Runtime.release(Function) == asmjit::kErrorOk;
  check(IsRight && stats(Runtime).used_bytes == 0, "all of them are released");
  check(Runtime.release(Functions[0]) == asmjit::kErrorInvalidArgument, "none of them is released twice");

  Unary Far, Near;
  codeslab_window Below = {0, 0x7fffffff};
  Runtime.within(Below);
  uint64_t FarBytes = calling(Runtime, Far);
  codeslab::AsmJitRuntime Other;
  uint64_t Labs = reinterpret_cast<uint64_t>(static_cast<Unary>(std::labs));
  codeslab_window Around = {Labs - 0x7fff0000, Labs + 0x7fff0000};
  Other.within(Around);
  uint64_t NearBytes = calling(Other, Near);
  check(FarBytes > 0 && Far(-5) == 5, "a call beyond reach goes through the address table");
  check(NearBytes > 0 && NearBytes < FarBytes && Near(-5) == 5, "a call within reach needs none, and what that took is given back");

  CodeHolder Empty;
  Empty.init(Runtime.environment());
  Nullary None = reinterpret_cast<Nullary>(static_cast<uintptr_t>(1));
  check(Runtime.add(&None, &Empty) == asmjit::kErrorNoCodeGenerated && !None, "no code is an error");
  CodeHolder Unbound;
  Unbound.init(Runtime.environment());
  x86::Assembler A(&Unbound);
  A.jmp(A.newLabel());
  uint64_t Live = stats(Runtime).live;
  check(Runtime.add(&None, &Unbound) != asmjit::kErrorOk && !None && stats(Runtime).live == Live && stats(Runtime).in_flight == 0,
        "a label without a place is an error, of which nothing is left");
  codeslab_window Nowhere = {0, 4095};
  Runtime.within(Nowhere);
  check(!constant(Runtime, 1), "where there is no room, there is no function");
  codeslab_options Bad = codeslab_default_options();
  Bad.block_size = 3;
  codeslab::AsmJitRuntime Closed(&Bad);
  check(!constant(Closed, 1), "a memory that could not be opened places nothing");
  return Failures;
}
