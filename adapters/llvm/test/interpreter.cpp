// clang's Interpreter on a memory manager, while other libraries take the address space around it.
//
//   interpreter MANAGER INPUTS intact|torn     with MANAGER codeslab, inprocess or mapper
//
// Every input is C++ that refers to what earlier inputs defined: functions, classes with virtual functions, templates, static data and
// exceptions. Where the address space is torn, all that is free within some gigabytes of the last code is taken away, but for holes of a few
// pages each, and again after every tenth input: what a process looks like that has loaded much. Prints one line for a table.

#include "mappings.h"
#include "torn.h"

#include <codeslab/JITLinkMemoryManager.h>

#include <clang/Frontend/CompilerInstance.h>
#include <clang/Interpreter/Interpreter.h>
#include <llvm/ExecutionEngine/Orc/LLJIT.h>
#include <llvm/ExecutionEngine/Orc/MapperJITLinkMemoryManager.h>
#include <llvm/ExecutionEngine/Orc/MemoryMapper.h>
#include <llvm/Support/TargetSelect.h>

#if LLVM_VERSION_MAJOR >= 22
#include <clang/Interpreter/IncrementalExecutor.h>
#endif

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>

using namespace llvm;
using namespace llvm::orc;

namespace {

std::unique_ptr<jitlink::JITLinkMemoryManager> manager(const std::string &Kind) {
  if (Kind == "codeslab")
    return cantFail(codeslab::JITLinkMemoryManager::create());
  if (Kind == "inprocess")
    return cantFail(jitlink::InProcessMemoryManager::Create());
  return cantFail(MapperJITLinkMemoryManager::CreateWithMapper<InProcessMemoryMapper>(16 << 20));
}

std::unique_ptr<LLJITBuilder> builder(const std::string &Kind) {
  auto Builder = std::make_unique<LLJITBuilder>();
  auto Control = cantFail(SelfExecutorProcessControl::Create(nullptr, nullptr, manager(Kind)));
  Builder->setExecutorProcessControl(std::move(Control));
  return Builder;
}

class Interpreter : public clang::Interpreter {
public:
#if LLVM_VERSION_MAJOR >= 22
  Interpreter(std::unique_ptr<clang::CompilerInstance> Compiler, Error &Failed, const std::string &Kind)
      : clang::Interpreter(std::move(Compiler), Failed, executor(Kind)) {}

private:
  static std::unique_ptr<clang::IncrementalExecutorBuilder> executor(const std::string &Kind) {
    auto Executor = std::make_unique<clang::IncrementalExecutorBuilder>();
    Executor->JITBuilder = builder(Kind);
    return Executor;
  }
#else
  Interpreter(std::unique_ptr<clang::CompilerInstance> Compiler, Error &Failed, const std::string &Kind)
      : clang::Interpreter(std::move(Compiler), Failed, builder(Kind)) {}
#endif
};

std::string input(int Number) {
  std::string N = std::to_string(Number), Last = std::to_string(Number - 1);
  std::string Sum = Number ? "f" + Last + "()" : "0";
  switch (Number % 4) {
  case 0:
    return "static const char text" + N + "[] = \"input " + N + "\"; int f" + N + "() { static int calls; ++calls; return " +
           Sum + " + (text" + N + "[0] == 'i'); }";
  case 1:
    return "struct A" + N + " { virtual int add(int n) { return n + 1; } virtual ~A" + N + "() {} }; inline A" + N +
           " *a" + N + "() { static A" + N + " one; return &one; } int f" + N + "() { return a" + N + "()->add(" + Sum + "); }";
  case 2:
    return "int g" + N + "(int n) { if (n >= 0) throw n; return -1; } int f" + N + "() { try { return g" + N + "(" + Sum +
           "); } catch (int n) { return n + 1; } }";
  default:
    return "template <typename T> T h" + N + "(T n) { return n + 1; } int v" + N + " = 1; int f" + N + "() { return h" + N +
           "(" + Sum + ") * v" + N + "; }";
  }
}

} // namespace

int main(int Count, char **Arguments) {
  if (Count != 4)
    return 2;
  std::string Kind = Arguments[1];
  int Inputs = std::atoi(Arguments[2]);
  bool IsTorn = std::string(Arguments[3]) == "torn";
  InitializeNativeTarget();
  InitializeNativeTargetAsmPrinter();

  clang::IncrementalCompilerBuilder Compiler;
  Compiler.SetCompilerArgs({"-std=c++17", "-fexceptions", "-fcxx-exceptions"});
  Error Failed = Error::success();
  auto Start = std::chrono::steady_clock::now();
  Interpreter I(cantFail(Compiler.CreateCpp()), Failed, Kind);
  cantFail(std::move(Failed));

  int Good = 0, Taken = 0;
  std::string First;
  bool IsBroken = false;
  // Inputs build on each other, so that the first that fails is the last.
  for (int Number = 0; Number < Inputs; ++Number) {
    if (auto Why = I.ParseAndExecute(input(Number))) {
      First = toString(std::move(Why));
      IsBroken = true;
      break;
    }
    auto At = I.getSymbolAddressFromLinkerName("_Z" + std::to_string(std::to_string(Number).size() + 1) + "f" +
                                               std::to_string(Number) + "v");
    if (!At) {
      First = toString(At.takeError());
      IsBroken = true;
      break;
    }
    Good += At->toPtr<int (*)()>()() == Number + 1;
    if (IsTorn && Number % 10 == 0)
      Taken += tear(At->getValue(), 3ull << 30);
  }
  double Seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - Start).count();
  std::printf("%-10s %s %d of %d good, %.1f s, %zu mappings of the process, %d pieces taken%s%.120s\n", Kind.c_str(), Arguments[3],
              Good, Inputs, Seconds, mappings(), Taken, IsBroken ? "; ended by: " : "", First.c_str());
  std::fflush(stdout);
  std::_Exit(Good == Inputs ? 0 : 1);
}
