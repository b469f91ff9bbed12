//===- codeslab/RTDyldMemoryManager.h - MCJIT and RuntimeDyld on codeslab's memory -===//
//
// A memory manager for those who are still on MCJIT, or on ORC's RTDyldObjectLinkingLayer: LLVM 19 and later. JITLink, which
// codeslab/JITLinkMemoryManager.h is for, does more.
//
//   EngineBuilder(std::move(Module)).setMCJITMemoryManager(codeslab::RTDyldMemoryManager::create(Memory))
//
// Where bytes are written and where they run are two addresses, as for a process elsewhere: RuntimeDyld is told of both. All sections of an
// object are one request, so that they are in reach of each other; what RuntimeDyld needs beyond what it said (it may count too few GOT
// entries) goes in reach of the rest. Everything is given back with the manager.
//
//===--------------------------------------------------------------------------------===//

#ifndef CODESLAB_RTDYLDMEMORYMANAGER_H
#define CODESLAB_RTDYLDMEMORYMANAGER_H

#include <codeslab.h>

#include <llvm/Config/llvm-config.h>
#include <llvm/ExecutionEngine/ExecutionEngine.h>
#include <llvm/ExecutionEngine/RTDyldMemoryManager.h>
#include <llvm/ExecutionEngine/RuntimeDyld.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#if LLVM_VERSION_MAJOR < 19
#error "codeslab/RTDyldMemoryManager.h needs LLVM 19 or later"
#endif

namespace codeslab {

/// RuntimeDyld's memory for one object or more, from a memory that the embedder opened and closes: allocations outlive that.
class RTDyldMemoryManager : public llvm::RTDyldMemoryManager {
public:
  static std::unique_ptr<RTDyldMemoryManager> create(codeslab_memory Memory) {
    return std::make_unique<RTDyldMemoryManager>(Memory);
  }

  explicit RTDyldMemoryManager(codeslab_memory Memory) : Memory(Memory) {}

  ~RTDyldMemoryManager() override {
    RTDyldMemoryManager::deregisterEHFrames();
    for (const Object &One : Loading) {
      codeslab_abandon(One.InFlight);
      for (codeslab_in_flight More : One.More)
        codeslab_abandon(More);
    }
    codeslab_free_many(Finalized.data(), Finalized.size());
  }

  bool needsToReserveAllocationSpace() override { return true; }

  /// All of an object is asked for at once. Where that is refused, no section is allocated, which RuntimeDyld reports.
  void reserveAllocationSpace(uintptr_t CodeSize, llvm::Align CodeAlign, uintptr_t ConstantSize,
                              llvm::Align ConstantAlign, uintptr_t DataSize, llvm::Align DataAlign) override {
    Object One;
    std::memset(One.Sections, 0, sizeof One.Sections);
    describe(One.Sections[Code], CODESLAB_READ_EXECUTE, CodeSize, CodeAlign);
    describe(One.Sections[Constants], CODESLAB_READ_ONLY, ConstantSize, ConstantAlign);
    describe(One.Sections[Data], CODESLAB_READ_WRITE, DataSize, DataAlign);
    HasObject = CodeSize + ConstantSize + DataSize > 0;
    if (!HasObject)
      return;
    if (codeslab_allocate(Memory, One.Sections, Parts, nullptr, 0, &One.InFlight) != CODESLAB_OK) {
      HasObject = false;
      note();
      return;
    }
    // RuntimeDyld writes what it knows of; what lies between is not for it.
    for (const codeslab_section &Section : One.Sections)
      if (Section.size && Section.protection != CODESLAB_READ_WRITE)
        std::memset(Section.bytes, 0, Section.size);
    Loading.push_back(std::move(One));
  }

  uint8_t *allocateCodeSection(uintptr_t Size, unsigned Alignment, unsigned, llvm::StringRef) override {
    return take(Code, Size, Alignment);
  }

  uint8_t *allocateDataSection(uintptr_t Size, unsigned Alignment, unsigned, llvm::StringRef, bool IsReadOnly) override {
    return take(IsReadOnly ? Constants : Data, Size, Alignment);
  }

  using llvm::RTDyldMemoryManager::notifyObjectLoaded;

  void notifyObjectLoaded(llvm::RuntimeDyld &Linker, const llvm::object::ObjectFile &) override { tell(Linker); }
  void notifyObjectLoaded(llvm::ExecutionEngine *Engine, const llvm::object::ObjectFile &) override { tell(*Engine); }

  /// The unwinder reads tables where they run, which is possible once they are published.
  void registerEHFrames(uint8_t *, uint64_t RunAddress, size_t Size) override {
    Tables.push_back({reinterpret_cast<uint8_t *>(RunAddress), Size, false});
  }

  void deregisterEHFrames() override {
    for (const Table &One : Tables)
      if (One.IsKnown)
        deregisterEHFramesInProcess(One.Start, One.Size);
    Tables.clear();
  }

  bool finalizeMemory(std::string *Message = nullptr) override {
    HasObject = false;
    for (const Object &One : Loading) {
      finalize(One.InFlight);
      for (codeslab_in_flight More : One.More)
        finalize(More);
    }
    Loading.clear();
    if (!Refused.empty()) {
      if (Message)
        *Message = std::exchange(Refused, std::string());
      return true;
    }
    for (Table &One : Tables)
      if (!std::exchange(One.IsKnown, true))
        registerEHFramesInProcess(One.Start, One.Size);
    return false;
  }

private:
  enum Part { Code, Constants, Data, Parts };

  struct Object {
    codeslab_in_flight InFlight;
    codeslab_section Sections[Parts];
    std::vector<codeslab_in_flight> More;
    uint64_t Used[Parts] = {0, 0, 0};
    /// Where sections are written, and where they will run, until RuntimeDyld knows.
    std::vector<std::pair<const void *, uint64_t>> Places;
  };

  struct Table {
    uint8_t *Start;
    size_t Size;
    bool IsKnown;
  };

  static void describe(codeslab_section &Section, uint32_t Protection, uint64_t Size, llvm::Align Align) {
    Section.protection = Protection;
    Section.size = Size;
    Section.align = Align.value();
  }

  uint8_t *take(Part Which, uint64_t Size, unsigned Alignment) {
    if (!HasObject)
      return nullptr;
    Object &One = Loading.back();
    uint64_t Mask = Alignment > 1 ? Alignment - 1 : 0;
    uint64_t Start = (One.Used[Which] + Mask) & ~Mask;
    if (Start + Size > One.Sections[Which].size || Mask >= One.Sections[Which].align)
      return takeMore(One, Which, Size, Mask + 1);
    One.Used[Which] = Start + Size;
    auto *Bytes = static_cast<uint8_t *>(One.Sections[Which].bytes) + Start;
    One.Places.push_back({Bytes, One.Sections[Which].address + Start});
    return Bytes;
  }

  /// A section of its own, in reach of the object that it belongs to.
  uint8_t *takeMore(Object &One, Part Which, uint64_t Size, uint64_t Alignment) {
    codeslab_section More;
    std::memset(&More, 0, sizeof More);
    describe(More, One.Sections[Which].protection, Size ? Size : 1, llvm::Align(Alignment));
    codeslab_window Near{0, UINT64_MAX};
    codeslab_configuration Configuration;
    if (codeslab_get_configuration(Memory, &Configuration) == CODESLAB_OK)
      for (const codeslab_section &Section : One.Sections) {
        uint64_t Reach = Configuration.reach, Last = Section.address + Section.size;
        Near.first = std::max(Near.first, Last > Reach ? Last - Reach : 0);
        Near.last = std::min(Near.last, Section.address < UINT64_MAX - Reach ? Section.address + Reach : UINT64_MAX);
      }
    codeslab_in_flight InFlight;
    if (codeslab_allocate(Memory, &More, 1, &Near, 1, &InFlight) != CODESLAB_OK) {
      note();
      return nullptr;
    }
    One.More.push_back(InFlight);
    One.Places.push_back({More.bytes, More.address});
    return static_cast<uint8_t *>(More.bytes);
  }

  void finalize(codeslab_in_flight InFlight) {
    codeslab_allocation Done;
    if (codeslab_finalize(InFlight, &Done) == CODESLAB_OK)
      Finalized.push_back(Done);
    else
      note();
  }

  template <typename Linker> void tell(Linker &To) {
    for (Object &One : Loading)
      for (const auto &Place : std::exchange(One.Places, {}))
        To.mapSectionAddress(Place.first, Place.second);
  }

  void note() {
    codeslab_error Last;
    if (codeslab_last_error(&Last) == CODESLAB_OK)
      Refused = std::string("codeslab: ") + Last.text;
  }

  codeslab_memory Memory;
  /// Whether the last of those that are loading is what sections are taken from.
  bool HasObject = false;
  std::vector<Object> Loading;
  std::vector<codeslab_allocation> Finalized;
  std::vector<Table> Tables;
  std::string Refused;
};

} // namespace codeslab

#endif
