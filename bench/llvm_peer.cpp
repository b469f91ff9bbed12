// Replays a trace through LLVM's two JITLink memory managers, as `codeslab-bench replay` does it through codeslab:
//
//     llvm_peer {inprocess|mapper} TRACE REPETITIONS
//
// Making the link graph is LLVM's way of stating a request and is not counted; allocate, write and finalize are.

#include <llvm/ExecutionEngine/JITLink/JITLink.h>
#include <llvm/ExecutionEngine/JITLink/JITLinkMemoryManager.h>
#include <llvm/ExecutionEngine/Orc/MapperJITLinkMemoryManager.h>
#include <llvm/ExecutionEngine/Orc/MemoryMapper.h>
#include <llvm/ExecutionEngine/Orc/Shared/MemoryFlags.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

using namespace llvm;
using namespace llvm::jitlink;
using Clock = std::chrono::steady_clock;

namespace {

struct Part {
  size_t Size, Align;
};
using Object = std::array<Part, 3>;

// The same block size as codeslab's default.
constexpr size_t BlockSize = 16 << 20;
constexpr orc::MemProt Protections[] = {orc::MemProt::Read | orc::MemProt::Exec, orc::MemProt::Read,
                                        orc::MemProt::Read | orc::MemProt::Write};
constexpr const char *Names[] = {".text", ".rodata", ".data"};

std::vector<Object> readTrace(const char *Path) {
  std::vector<Object> Objects;
  std::ifstream File(Path);
  for (std::string Line; std::getline(File, Line);) {
    std::istringstream Fields(Line);
    Object O;
    for (Part &P : O)
      Fields >> P.Size >> P.Align;
    Objects.push_back(O);
  }
  return Objects;
}

size_t contentSize(const Object &O) { return O[0].Size + O[1].Size + O[2].Size; }

size_t memoryBytes() {
  std::ifstream File("/proc/self/smaps_rollup");
  size_t KiB = 0;
  for (std::string Line; std::getline(File, Line);)
    if (sscanf(Line.c_str(), "Pss: %zu", &KiB) == 1)
      break;
  return KiB * 1024;
}

size_t mappings() {
  std::ifstream File("/proc/self/maps");
  size_t Count = 0;
  for (std::string Line; std::getline(File, Line);)
    ++Count;
  return Count;
}

std::unique_ptr<JITLinkMemoryManager> makeManager(const std::string &Kind) {
  if (Kind == "inprocess")
    return cantFail(InProcessMemoryManager::Create());
  return cantFail(orc::MapperJITLinkMemoryManager::CreateWithMapper<orc::InProcessMemoryMapper>(BlockSize));
}

std::unique_ptr<LinkGraph> makeGraph(const Object &O, const std::vector<char> &Source) {
  auto Graph =
      std::make_unique<LinkGraph>("object", Triple("x86_64-linux-gnu"), 8, llvm::endianness::little, nullptr);
  for (size_t I = 0; I < O.size(); ++I) {
    if (O[I].Size == 0)
      continue;
    auto &Section = Graph->createSection(Names[I], Protections[I]);
    Graph->createContentBlock(Section, ArrayRef<char>(Source.data(), O[I].Size), orc::ExecutorAddr(), O[I].Align, 0);
  }
  return Graph;
}

// Allocates, which copies the content, and publishes.
bool place(JITLinkMemoryManager &Manager, LinkGraph &Graph, std::vector<JITLinkMemoryManager::FinalizedAlloc> &Kept) {
  auto InFlight = Manager.allocate(nullptr, Graph);
  if (!InFlight) {
    consumeError(InFlight.takeError());
    return false;
  }
  auto Finalized = (*InFlight)->finalize();
  if (!Finalized) {
    consumeError(Finalized.takeError());
    return false;
  }
  Kept.push_back(std::move(*Finalized));
  return true;
}

} // namespace

int main(int Count, char **Arguments) {
  if (Count != 4) {
    fprintf(stderr, "usage: llvm_peer {inprocess|mapper} TRACE REPETITIONS\n");
    return 2;
  }
  const std::vector<Object> Objects = readTrace(Arguments[2]);
  const size_t Repetitions = strtoul(Arguments[3], nullptr, 10);
  size_t Largest = 0;
  for (const Object &O : Objects)
    for (const Part &P : O)
      Largest = std::max(Largest, P.Size);
  const std::vector<char> Source(Largest, static_cast<char>(0xC3));

  auto Manager = makeManager(Arguments[1]);
  std::vector<JITLinkMemoryManager::FinalizedAlloc> Kept;
  Kept.reserve(Objects.size() * Repetitions);
  size_t Total = 0, Failed = 0, Content = 0;
  Clock::duration Elapsed{};
  const size_t BytesBefore = memoryBytes(), MappingsBefore = mappings();
  for (size_t Repetition = 0; Repetition < Repetitions; ++Repetition) {
    for (const Object &O : Objects) {
      auto Graph = makeGraph(O, Source);
      const auto Start = Clock::now();
      const bool Placed = place(*Manager, *Graph, Kept);
      Elapsed += Clock::now() - Start;
      ++Total;
      if (Placed)
        Content += contentSize(O);
      else
        ++Failed;
    }
  }
  const double Microseconds = std::chrono::duration<double, std::micro>(Elapsed).count();
  printf("{\"objects\":%zu,\"failed\":%zu,\"us_per_object\":%.4f,\"memory_per_content\":%.4f,\"mappings\":%zu}\n", Total,
         Failed, Microseconds / Total, static_cast<double>(memoryBytes() - BytesBefore) / Content,
         mappings() - MappingsBefore);
  fflush(stdout);
  // The manager insists that everything is given back; that is not measured here, and the process ends anyway.
  _Exit(0);
}
