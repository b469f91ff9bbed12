// LLJIT on codeslab's memory, and modules for it.
#pragma once

#include "support.h"

#include <llvm/ExecutionEngine/Orc/LLJIT.h>
#include <llvm/IR/LLVMContext.h>
#include <llvm/IR/Module.h>
#include <llvm/IRReader/IRReader.h>
#include <llvm/Support/SourceMgr.h>

inline codeslab_statistics stats(const codeslab::JITLinkMemoryManager &M) {
  codeslab_statistics Stats;
  EXPECT(codeslab_stats(M.memory(), &Stats) == CODESLAB_OK);
  return Stats;
}

/// What the memory of a JIT holds.
inline codeslab_statistics stats(llvm::orc::LLJIT &JIT) {
  auto &Control = JIT.getExecutionSession().getExecutorProcessControl();
  return stats(static_cast<codeslab::JITLinkMemoryManager &>(Control.getMemMgr()));
}

inline std::unique_ptr<llvm::orc::LLJIT> jit(codeslab::Options Chosen = codeslab::Options()) {
  auto Control = llvm::cantFail(codeslab::createExecutorProcessControl(std::move(Chosen)));
  return llvm::cantFail(llvm::orc::LLJITBuilder().setExecutorProcessControl(std::move(Control)).create());
}

inline llvm::orc::ThreadSafeModule module(const std::string &Text) {
  auto Context = std::make_unique<llvm::LLVMContext>();
  llvm::SMDiagnostic Mistake;
  auto M = llvm::parseIR(llvm::MemoryBufferRef(Text, "test"), Mistake, *Context);
  EXPECT(M != nullptr);
  return llvm::orc::ThreadSafeModule(std::move(M), std::move(Context));
}

inline std::string counter(const std::string &Name, const std::string &Callee) {
  std::string Call = Callee.empty() ? "  %c = add i32 0, 0\n" : "  %c = call i32 @" + Callee + "()\n";
  return "@n." + Name + " = global i32 40\n" + (Callee.empty() ? "" : "declare i32 @" + Callee + "()\n") +
         "define i32 @" + Name + "() {\n" + Call + "  %a = load i32, ptr @n." + Name +
         "\n  %b = add i32 %a, 2\n  %d = add i32 %b, %c\n  ret i32 %d\n}\n";
}

