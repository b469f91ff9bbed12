// Objects that name each other's data by 32 bits, each with a megabyte of data, in an address space that fills: how many link.
//
//   chained OBJECTS
//
// A process for each memory manager. After each object, what is free within three gigabytes of it is taken away, but for holes of four
// pages. A line for each; it is an error if not all link on codeslab.

#include "alternate.h"
#include "lljit.h"
#include "managers.h"
#include "torn.h"

#include <llvm/Support/TargetSelect.h>

using namespace llvm;
using namespace llvm::orc;

/// A function that adds what the data of the object before it begins with, without a GOT: `dso_local`.
static std::string source(int Number) {
  std::string N = std::to_string(Number), Before = std::to_string(Number - 1);
  std::string Text = "@data" + N + " = dso_local global [262144 x i32] [i32 " + N + ", " + [] {
    std::string Zeros;
    for (int Count = 1; Count < 262144; ++Count)
      Zeros += Count == 1 ? "i32 1" : ", i32 1";
    return Zeros;
  }() + "]\n";
  if (Number)
    Text += "@data" + Before + " = external dso_local global [262144 x i32]\n";
  Text += "define dso_local i32 @f" + N + "() nounwind {\n  %a = load volatile i32, ptr @data" + N + "\n";
  if (Number)
    Text += "  %b = load volatile i32, ptr @data" + Before + "\n  %c = sub i32 %a, %b\n  ret i32 %c\n}\n";
  else
    Text += "  ret i32 1\n}\n";
  return Text;
}

static int link(const std::string &Kind, int Objects) {
  InitializeNativeTarget();
  InitializeNativeTargetAsmPrinter();
  auto JIT = cantFail(LLJITBuilder().setExecutorProcessControl(control(Kind)).create());
  JIT->getExecutionSession().setErrorReporter([](Error Reported) { consumeError(std::move(Reported)); });
  int Linked = 0;
  for (; Linked < Objects; ++Linked) {
    cantFail(JIT->addIRModule(module(source(Linked))));
    auto At = JIT->lookup("f" + std::to_string(Linked));
    if (!At || At->toPtr<int (*)()>()() != 1) {
      consumeError(At.takeError());
      break;
    }
    // What is there is told at once: a manager may crash.
    std::printf("1\n");
    std::fflush(stdout);
    tear(At->getValue(), 3ull << 30);
  }
  std::_Exit(0);
}

int main(int Count, char **Arguments) {
  if (Count == 4 && std::string(Arguments[1]) == "one")
    return link(Arguments[2], std::atoi(Arguments[3]));
  if (Count != 2)
    return 2;
  size_t Objects = std::strtoul(Arguments[1], nullptr, 10), Own = 0;
  for (std::string Kind : {"codeslab", "inprocess", "mapper"}) {
    bool IsWhole = true;
    size_t Linked = numbersOf({Arguments[0], "one", Kind, Arguments[1]}, &IsWhole).size();
    std::printf("%-10s %zu of %zu objects link%s\n", Kind.c_str(), Linked, Objects, IsWhole ? "" : ", and it crashes");
    Own = Kind == "codeslab" ? Linked : Own;
  }
  return Own == Objects ? 0 : 1;
}
