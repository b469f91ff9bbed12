//===- codeslab/AsmJitRuntime.h - asmjit on codeslab's memory -----------------===//
//
// In the place of asmjit::JitRuntime: what add() is given is placed within reach of what it was said to be near, so that calls of
// functions there need no address table, and lies beside what was added before. Needs codeslab.h and the library behind it (pkg-config:
// codeslab), and asmjit's headers.
//
//   codeslab::AsmJitRuntime Runtime;
//   Code.init(Runtime.environment());
//   ... emit ...
//   Runtime.add(&Function, &Code);
//   Runtime.release(Function);
//
//===--------------------------------------------------------------------------===//

#ifndef CODESLAB_ASMJITRUNTIME_H
#define CODESLAB_ASMJITRUNTIME_H

#include <codeslab.h>

#include <asmjit/asmjit.h>

#include <cstdint>
#include <cstring>
#include <mutex>
#include <unordered_map>

namespace codeslab {

/// A target that places code and takes it back. It may be used from several threads; all that it holds is freed with it.
class AsmJitRuntime : public asmjit::Target {
public:
  /// Opens a memory. Whether that worked is what the first add() says.
  explicit AsmJitRuntime(const codeslab_options *Options = nullptr) noexcept {
    _environment = asmjit::Environment::host();
    IsOpen = codeslab_open(Options, &Memory) == CODESLAB_OK;
  }

  ~AsmJitRuntime() noexcept override {
    for (auto &Each : Allocations)
      codeslab_free(Each.second);
    if (IsOpen)
      codeslab_close(Memory);
  }

  AsmJitRuntime(const AsmJitRuntime &) = delete;
  AsmJitRuntime &operator=(const AsmJitRuntime &) = delete;

  /// The memory, for statistics and lookups.
  codeslab_memory memory() const noexcept { return Memory; }

  /// Has what is added from now on lie in a window: near functions that it calls, so that a call has room for the distance.
  void within(codeslab_window Where) noexcept {
    Window = Where;
    HasWindow = true;
  }

  /// Places, relocates and publishes code. After an error, Function is null, nothing is taken, and codeslab_last_error says more.
  template <typename Func> asmjit::Error add(Func *Function, asmjit::CodeHolder *Code) noexcept {
    uint64_t Address = 0;
    asmjit::Error Error = place(Code, Address);
    *Function = reinterpret_cast<Func>(static_cast<uintptr_t>(Address));
    return Error;
  }

  /// Frees what add() gave. Nothing may execute it any more.
  template <typename Func> asmjit::Error release(Func Function) noexcept {
    std::lock_guard<std::mutex> Guard(Lock);
    auto Found = Allocations.find(reinterpret_cast<uintptr_t>(Function));
    if (Found == Allocations.end())
      return asmjit::kErrorInvalidArgument;
    codeslab_allocation Allocation = Found->second;
    Allocations.erase(Found);
    return codeslab_free(Allocation) == CODESLAB_OK ? asmjit::kErrorOk : asmjit::kErrorInvalidState;
  }

private:
  asmjit::Error place(asmjit::CodeHolder *Code, uint64_t &Address) noexcept {
    if (!IsOpen)
      return asmjit::kErrorOutOfMemory;
    ASMJIT_PROPAGATE(Code->flatten());
    ASMJIT_PROPAGATE(Code->resolveUnresolvedLinks());
    if (Code->hasUnresolvedLinks())
      return asmjit::kErrorExpressionLabelNotBound;
    size_t Most = Code->codeSize();
    if (Most == 0)
      return asmjit::kErrorNoCodeGenerated;
    codeslab_section Section;
    std::memset(&Section, 0, sizeof Section);
    Section.size = Most, Section.align = 64, Section.protection = CODESLAB_READ_EXECUTE;
    codeslab_in_flight InFlight;
    if (codeslab_allocate(Memory, &Section, 1, &Window, HasWindow ? 1 : 0, &InFlight) != CODESLAB_OK)
      return asmjit::kErrorOutOfMemory;
    asmjit::Error Error = Code->relocateToBase(Section.address);
    // Calls that reach their target need no entry in the address table, so this may be less than before.
    size_t Size = Code->codeSize();
    if (Error == asmjit::kErrorOk)
      Error = Code->copyFlattenedData(Section.bytes, Size, asmjit::CopySectionFlags::kPadSectionBuffer);
    if (Error != asmjit::kErrorOk || (Size < Most && codeslab_shrink(InFlight, 0, Size) != CODESLAB_OK)) {
      codeslab_abandon(InFlight);
      return Error != asmjit::kErrorOk ? Error : asmjit::kErrorInvalidState;
    }
    codeslab_allocation Allocation;
    if (codeslab_finalize(InFlight, &Allocation) != CODESLAB_OK)
      return asmjit::kErrorOutOfMemory;
    std::lock_guard<std::mutex> Guard(Lock);
    Allocations.emplace(static_cast<uintptr_t>(Section.address), Allocation);
    Address = Section.address;
    return asmjit::kErrorOk;
  }

  codeslab_memory Memory{};
  codeslab_window Window{};
  bool IsOpen = false;
  bool HasWindow = false;
  std::mutex Lock;
  std::unordered_map<uintptr_t, codeslab_allocation> Allocations;
};

} // namespace codeslab

#endif
