// The time that a memory manager takes, and what it needs: the objects of an archive, as graphs, allocated and finalized many times over.
//
//   trace MANAGER TRACE REPEATS     with MANAGER codeslab, inprocess or mapper; bench/libc.trace has sizes and alignments of each object
//
// Prints one line for a table: microseconds for each object in allocate and finalize, and then in deallocate; failures; mappings; resident
// memory for each byte of content.

#include "mappings.h"
#include "support.h"

#include <llvm/ExecutionEngine/Orc/MapperJITLinkMemoryManager.h>
#include <llvm/ExecutionEngine/Orc/MemoryMapper.h>

#include <chrono>
#include <fstream>
#include <sstream>

using namespace llvm;
using namespace llvm::jitlink;
using namespace llvm::orc;
using Clock = std::chrono::steady_clock;

static std::unique_ptr<JITLinkMemoryManager> manager(const std::string &Kind) {
  if (Kind == "codeslab")
    return cantFail(codeslab::JITLinkMemoryManager::create());
  if (Kind == "inprocess")
    return cantFail(InProcessMemoryManager::Create());
  return cantFail(MapperJITLinkMemoryManager::CreateWithMapper<InProcessMemoryMapper>(16 << 20));
}

/// Kibibytes of this process in its proportional share.
static size_t resident() {
  std::ifstream Rollup("/proc/self/smaps_rollup");
  std::string Line;
  size_t Size = 0;
  while (std::getline(Rollup, Line))
    std::sscanf(Line.c_str(), "Pss: %zu", &Size);
  return Size;
}

int main(int Count, char **Arguments) {
  if (Count != 4)
    return 2;
  std::string Kind = Arguments[1];
  std::ifstream Trace(Arguments[2]);
  struct Object {
    size_t Sizes[3], Aligns[3];
  };
  std::vector<Object> Objects;
  std::string Line;
  size_t Content = 0, Largest = 0;
  while (std::getline(Trace, Line)) {
    std::istringstream Words(Line);
    Object One;
    for (int Part = 0; Part < 3; ++Part) {
      Words >> One.Sizes[Part] >> One.Aligns[Part];
      Content += One.Sizes[Part];
      Largest = std::max(Largest, One.Sizes[Part]);
    }
    Objects.push_back(One);
  }
  std::vector<char> Bytes(Largest, '\xc3');
  size_t Repeats = std::strtoul(Arguments[3], nullptr, 10), Total = Objects.size() * Repeats, Failures = 0;
  auto Manager = manager(Kind);
  std::vector<JITLinkMemoryManager::FinalizedAlloc> Done;
  Done.reserve(Total);
  const MemProt Protections[3] = {MemProt::Read | MemProt::Exec, MemProt::Read, MemProt::Read | MemProt::Write};
  const char *Names[3] = {".text", ".rodata", ".data"};
  size_t ResidentBefore = resident(), MappingsBefore = mappings();
  double Taken = 0;
  auto Time = [&](auto Work) {
    auto Start = Clock::now();
    auto Result = Work();
    Taken += std::chrono::duration<double>(Clock::now() - Start).count();
    return Result;
  };
  for (size_t Repeat = 0; Repeat < Repeats; ++Repeat)
    for (const Object &One : Objects) {
      auto G = graph("object");
      for (int Part = 0; Part < 3; ++Part)
        if (One.Sizes[Part])
          G->createContentBlock(G->createSection(Names[Part], Protections[Part]), ArrayRef<char>(Bytes.data(), One.Sizes[Part]),
                                ExecutorAddr(), One.Aligns[Part], 0);
      auto InFlight = Time([&] { return Manager->allocate(nullptr, *G); });
      if (!InFlight) {
        consumeError(InFlight.takeError());
        ++Failures;
        continue;
      }
      auto Finalized = Time([&] { return (*InFlight)->finalize(); });
      if (!Finalized) {
        consumeError(Finalized.takeError());
        ++Failures;
        continue;
      }
      Done.push_back(std::move(*Finalized));
    }
  double Placing = Taken * 1e6 / double(Total);
  double Memory = double(resident() - ResidentBefore) * 1024 / double(Content * Repeats);
  size_t Mappings = mappings() - MappingsBefore;
  Taken = 0;
  size_t Kept = Done.size();
  for (auto &One : Done)
    if (auto Failed = Time([&] { return Manager->deallocate(std::move(One)); }))
      consumeError(std::move(Failed));
  std::printf("%-10s %5.2f us to place, %5.2f us to free, %zu of %zu failed, %zu mappings, %.2f x memory\n", Kind.c_str(), Placing,
              Taken * 1e6 / double(std::max<size_t>(Kept, 1)), Failures, Total, Mappings, Memory);
  std::fflush(stdout);
  std::_Exit(0);
}
