// How long it takes from the start of a process to the first call of a function that LLJIT compiled, on each memory manager.
//
//   start ROUNDS
//
// A process of its own for each, in turns. A line for each, of medians: milliseconds from before the process is made, and from the start of
// main, to the end of the call.

#include "alternate.h"
#include "lljit.h"
#include "managers.h"

#include <llvm/Support/TargetSelect.h>

using namespace llvm;
using namespace llvm::orc;

static int callOnce(const std::string &Kind, double Begun) {
  double Main = now();
  InitializeNativeTarget();
  InitializeNativeTargetAsmPrinter();
  auto JIT = cantFail(LLJITBuilder().setExecutorProcessControl(control(Kind)).create());
  cantFail(JIT->addIRModule(module(counter("one", ""))));
  int Answer = cantFail(JIT->lookup("one")).toPtr<int (*)()>()();
  double Called = now();
  std::printf("%f %f\n", (Called - Begun) / 1e6, (Called - Main) / 1e6);
  std::fflush(stdout);
  std::_Exit(Answer == 42 ? 0 : 1);
}

int main(int Count, char **Arguments) {
  if (Count == 4 && std::string(Arguments[1]) == "one")
    return callOnce(Arguments[2], std::strtod(Arguments[3], nullptr));
  if (Count != 2)
    return 2;
  const std::vector<std::string> Kinds = {"codeslab", "inprocess", "mapper"};
  auto Medians = alternate(Kinds, std::atoi(Arguments[1]), [&](const std::string &Kind) {
    return std::vector<std::string>{Arguments[0], "one", Kind, std::to_string(now())};
  });
  for (const std::string &Kind : Kinds) {
    if (Medians[Kind].size() != 2)
      return 1;
    std::printf("%-10s %7.2f ms from the start of the process, %6.2f ms from main\n", Kind.c_str(), Medians[Kind][0], Medians[Kind][1]);
  }
  return 0;
}
