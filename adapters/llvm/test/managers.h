// The memory managers that programs beside the tests compare, by name: codeslab's, and LLVM's own two.
#pragma once

#include <codeslab/JITLinkMemoryManager.h>

#include <llvm/ExecutionEngine/Orc/MapperJITLinkMemoryManager.h>
#include <llvm/ExecutionEngine/Orc/MemoryMapper.h>
#include <memory>
#include <string>

/// A process whose code lies in memory of `codeslab`, `inprocess` or `mapper`.
inline std::unique_ptr<llvm::orc::ExecutorProcessControl> control(const std::string &Kind) {
  using namespace llvm;
  using namespace llvm::orc;
  if (Kind == "codeslab")
    return cantFail(codeslab::createExecutorProcessControl());
  std::unique_ptr<jitlink::JITLinkMemoryManager> Manager;
  if (Kind == "mapper")
    Manager = cantFail(MapperJITLinkMemoryManager::CreateWithMapper<InProcessMemoryMapper>(16 << 20));
  return cantFail(SelfExecutorProcessControl::Create(nullptr, nullptr, std::move(Manager)));
}
