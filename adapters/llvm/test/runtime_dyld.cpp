// RuntimeDyld on codeslab's memory: through ORC's layer for it and through MCJIT. A line for each behaviour; the argument is linked.cpp,
// compiled with -fPIC.

#include "support.h"

#include <codeslab/RTDyldMemoryManager.h>

#include <llvm/ExecutionEngine/MCJIT.h>
#include <llvm/ExecutionEngine/Orc/LLJIT.h>
#include <llvm/ExecutionEngine/Orc/RTDyldObjectLinkingLayer.h>
#include <llvm/IR/LLVMContext.h>
#include <llvm/IR/Module.h>
#include <llvm/IRReader/IRReader.h>
#include <llvm/Support/SourceMgr.h>
#include <llvm/Support/TargetSelect.h>

using namespace llvm;
using namespace llvm::orc;

static const char *ObjectPath;

static codeslab_memory open() {
  codeslab_memory Memory;
  if (codeslab_open(nullptr, &Memory) != CODESLAB_OK)
    std::exit(1);
  return Memory;
}

static uint64_t live(codeslab_memory Memory) {
  codeslab_statistics Stats;
  return codeslab_stats(Memory, &Stats) == CODESLAB_OK ? Stats.live : ~uint64_t(0);
}

static std::unique_ptr<Module> parse(LLVMContext &Context) {
  SMDiagnostic Mistake;
  const char *Text = "@n = global i32 40\n@two = internal constant [2 x i32] [i32 1, i32 2]\n"
                     "define i32 @answer() {\n  %a = load i32, ptr @n\n  %p = getelementptr i32, ptr @two, i64 1\n"
                     "  %b = load volatile i32, ptr %p\n  %c = add i32 %a, %b\n  ret i32 %c\n}\n";
  return parseIR(MemoryBufferRef(Text, "test"), Mistake, Context);
}

static void objectsWithExceptionsAreLinked() {
  codeslab_memory Memory = open();
  {
    auto Layer = [Memory](ExecutionSession &Session, auto &&...) -> Expected<std::unique_ptr<ObjectLayer>> {
      auto Manager = [Memory](auto &&...) { return codeslab::RTDyldMemoryManager::create(Memory); };
      return std::make_unique<RTDyldObjectLinkingLayer>(Session, Manager);
    };
    auto JIT = cantFail(LLJITBuilder().setObjectLinkingLayerCreator(Layer).create());
    cantFail(JIT->addObjectFile(cantFail(errorOrToExpected(MemoryBuffer::getFile(ObjectPath)))));
    auto Catches = cantFail(JIT->lookup("catches"));
    EXPECT(Catches.toPtr<int (*)(int)>()(7) == 107 && Catches.toPtr<int (*)(int)>()(-1) == -1);
    codeslab_found Found;
    EXPECT(codeslab_find(Memory, Catches.getValue(), &Found) == CODESLAB_OK && Found.size > 0);
    EXPECT(Found.protection == CODESLAB_READ_EXECUTE && live(Memory) >= 1);
  }
  EXPECT(live(Memory) == 0);
  codeslab_close(Memory);
}

static void modulesAreCompiledByMcjit() {
  codeslab_memory Memory = open();
  {
    LLVMContext Context;
    EngineBuilder Builder(parse(Context));
    Builder.setEngineKind(EngineKind::JIT).setMCJITMemoryManager(codeslab::RTDyldMemoryManager::create(Memory));
    std::unique_ptr<ExecutionEngine> Engine(Builder.create());
    EXPECT(Engine != nullptr);
    auto Answer = reinterpret_cast<int (*)()>(Engine->getFunctionAddress("answer"));
    EXPECT(Answer != nullptr && Answer() == 42 && live(Memory) == 1);
  }
  EXPECT(live(Memory) == 0);
  codeslab_close(Memory);
}

static void whatIsRefusedIsSaidAndNothingIsKept() {
  codeslab_options Options = codeslab_default_options();
  Options.max_committed = 1 << 20;
  codeslab_memory Memory;
  EXPECT(codeslab_open(&Options, &Memory) == CODESLAB_OK);
  {
    auto Manager = codeslab::RTDyldMemoryManager::create(Memory);
    Manager->reserveAllocationSpace(100, Align(16), 0, Align(1), 64 << 20, Align(16));
    EXPECT(Manager->allocateCodeSection(100, 16, 0, ".text") == nullptr);
    std::string Message;
    EXPECT(Manager->finalizeMemory(&Message) && Message.find("committed") != std::string::npos);
    // More than was asked for is there, too, and in reach.
    Manager->reserveAllocationSpace(100, Align(16), 0, Align(1), 0, Align(1));
    EXPECT(Manager->allocateCodeSection(60, 16, 1, ".text") && Manager->allocateCodeSection(60, 16, 2, ".more"));
    EXPECT(Manager->allocateDataSection(1, 64, 3, ".data", false));
    EXPECT(!Manager->allocateDataSection(64 << 20, 16, 4, ".large", false));
  }
  EXPECT(live(Memory) == 0);
  codeslab_statistics Stats;
  EXPECT(codeslab_stats(Memory, &Stats) == CODESLAB_OK && Stats.used_bytes == 0 && Stats.in_flight == 0);
  codeslab_close(Memory);
}

int main(int Count, char **Arguments) {
  if (Count != 2)
    return 2;
  ObjectPath = Arguments[1];
  InitializeNativeTarget();
  InitializeNativeTargetAsmPrinter();
  run("RuntimeDyld links objects with exceptions", objectsWithExceptionsAreLinked);
  run("MCJIT compiles modules", modulesAreCompiledByMcjit);
  run("what is refused is said, and nothing is kept", whatIsRefusedIsSaidAndNothingIsKept);
  return finish();
}
