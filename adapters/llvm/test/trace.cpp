// The time that a memory manager takes, and what it needs: the objects of an archive, as graphs, allocated, finalized and deallocated many
// times over, with callbacks, as JITLink does it.
//
//   trace TRACE REPEATS ROUNDS     bench/libc.trace has sizes and alignments of each object
//
// Every manager has a process of its own, in turns. `hardened` is codeslab with codeslab_default_options(). `floor` is what no manager that JITLink can use is below: it does what LLVM's own
// BasicLayout does to sort sections and to copy contents, into pages that were not touched before, the next object behind the last; it
// frees nothing. A line for each, of medians: microseconds for each object that was placed, those that were not do not count; failures;
// mappings; memory for each byte of content; and how many times what codeslab takes.

#include "alternate.h"
#include "mappings.h"
#include "support.h"

#include <llvm/ExecutionEngine/Orc/MapperJITLinkMemoryManager.h>
#include <llvm/ExecutionEngine/Orc/MemoryMapper.h>

#include <dirent.h>
#include <fstream>
#include <optional>
#include <sstream>
#include <sys/mman.h>
#include <sys/stat.h>

using namespace llvm;
using namespace llvm::jitlink;
using namespace llvm::orc;

/// Three areas of shared memory, as those in which codeslab writes, and in each the next object behind the last.
class Floor final : public JITLinkMemoryManager {
public:
  using JITLinkMemoryManager::allocate;
  using JITLinkMemoryManager::deallocate;

  explicit Floor(size_t Size) {
    for (uint64_t &Area : Next)
      Area = reinterpret_cast<uint64_t>(
          mmap(nullptr, Size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
  }

  void allocate(const JITLinkDylib *, LinkGraph &G, OnAllocatedFunction OnAllocated) override {
    BasicLayout Layout(G);
    size_t Area = 0;
    for (auto &KV : Layout.segments()) {
      uint64_t &At = Next[Area++];
      At = alignTo(At, KV.second.Alignment);
      KV.second.Addr = ExecutorAddr(At);
      KV.second.WorkingMem = ExecutorAddr(At).toPtr<char *>();
      At += KV.second.ContentSize + KV.second.ZeroFillSize;
    }
    if (Error Failed = Layout.apply())
      return OnAllocated(std::move(Failed));
    OnAllocated(std::make_unique<Nothing>());
  }

  void deallocate(std::vector<FinalizedAlloc> Allocs, OnDeallocatedFunction OnDeallocated) override {
    for (FinalizedAlloc &One : Allocs)
      One.release();
    OnDeallocated(Error::success());
  }

private:
  class Nothing final : public InFlightAlloc {
    void abandon(OnAbandonedFunction OnAbandoned) override { OnAbandoned(Error::success()); }
    void finalize(OnFinalizedFunction OnFinalized) override { OnFinalized(FinalizedAlloc(ExecutorAddr(1))); }
  };

  uint64_t Next[3];
};

static std::unique_ptr<JITLinkMemoryManager> manager(const std::string &Kind, size_t Size) {
  codeslab::Options Options;
  if (Kind == "hardened")
    Options.Memory = codeslab_default_options();
  if (Kind == "codeslab" || Kind == "hardened")
    return cantFail(codeslab::JITLinkMemoryManager::create(Options));
  if (Kind == "inprocess")
    return cantFail(InProcessMemoryManager::Create());
  if (Kind == "mapper")
    return cantFail(MapperJITLinkMemoryManager::CreateWithMapper<InProcessMemoryMapper>(16 << 20));
  return std::make_unique<Floor>(Size);
}

/// Bytes that this process has: its own, and those of its memory files, of which it may see a page nowhere or twice.
static size_t memory() {
  std::ifstream Rollup("/proc/self/smaps_rollup");
  std::string Line;
  size_t Own = 0;
  while (std::getline(Rollup, Line))
    std::sscanf(Line.c_str(), "Anonymous: %zu", &Own);
  size_t Files = 0;
  DIR *Descriptors = opendir("/proc/self/fd");
  while (dirent *Entry = readdir(Descriptors)) {
    std::string Path = std::string("/proc/self/fd/") + Entry->d_name;
    char Target[64] = {};
    struct stat Status;
    if (readlink(Path.c_str(), Target, sizeof Target - 1) > 0 && std::strncmp(Target, "/memfd:", 7) == 0 &&
        stat(Path.c_str(), &Status) == 0)
      Files = std::max(Files, size_t(Status.st_blocks) * 512);
  }
  closedir(Descriptors);
  return Own * 1024 + Files;
}

struct Object {
  size_t Sizes[3], Aligns[3];
};

static std::vector<Object> read(const char *Path) {
  std::ifstream Trace(Path);
  std::vector<Object> Objects;
  std::string Line;
  while (std::getline(Trace, Line)) {
    std::istringstream Words(Line);
    Object One;
    for (int Part = 0; Part < 3; ++Part)
      Words >> One.Sizes[Part] >> One.Aligns[Part];
    Objects.push_back(One);
  }
  return Objects;
}

static std::unique_ptr<LinkGraph> graphOf(const Object &One, ArrayRef<char> Bytes) {
  const MemProt Protections[3] = {MemProt::Read | MemProt::Exec, MemProt::Read, MemProt::Read | MemProt::Write};
  const char *Names[3] = {".text", ".rodata", ".data"};
  auto G = graph("object");
  for (int Part = 0; Part < 3; ++Part)
    if (One.Sizes[Part])
      G->createContentBlock(G->createSection(Names[Part], Protections[Part]), Bytes.take_front(One.Sizes[Part]), ExecutorAddr(),
                            One.Aligns[Part], 0);
  return G;
}

/// One manager: prints its numbers.
static int replay(const std::string &Kind, const std::vector<Object> &Objects, size_t Repeats) {
  size_t Content = 0, Largest = 0;
  for (const Object &One : Objects)
    for (size_t Size : One.Sizes) {
      Content += Size * Repeats;
      Largest = std::max(Largest, Size);
    }
  std::vector<char> Bytes(Largest, '\xc3');
  auto Manager = manager(Kind, 2 * Content);
  size_t Total = Objects.size() * Repeats;
  // Its pages are touched before anything is counted.
  std::vector<JITLinkMemoryManager::FinalizedAlloc> Done(Total);
  Done.clear();
  // What both sides of a clock cost is not theirs.
  double Clock = now();
  for (int Count = 0; Count < 1000; ++Count)
    (void)now();
  Clock = (now() - Clock) / 1000;
  size_t MemoryBefore = memory(), MappingsBefore = mappings();
  double Placing = 0;
  for (size_t Repeat = 0; Repeat < Repeats; ++Repeat)
    for (const Object &One : Objects) {
      auto G = graphOf(One, Bytes);
      std::unique_ptr<JITLinkMemoryManager::InFlightAlloc> InFlight;
      size_t Before = Done.size();
      double Start = now();
      Manager->allocate(nullptr, *G, [&](auto Placed) {
        if (Placed)
          InFlight = std::move(*Placed);
        else
          consumeError(Placed.takeError());
      });
      if (InFlight)
        InFlight->finalize([&](auto Finalized) {
          if (Finalized)
            Done.push_back(std::move(*Finalized));
          else
            consumeError(Finalized.takeError());
        });
      InFlight.reset();
      double Taken = now() - Start - Clock;
      if (Done.size() > Before)
        Placing += Taken;
    }
  double Memory = double(memory() - MemoryBefore) / double(Content);
  size_t Mappings = mappings() - MappingsBefore, Placed = Done.size();
  double Start = now();
  for (auto &One : Done) {
    std::vector<JITLinkMemoryManager::FinalizedAlloc> Alone;
    Alone.push_back(std::move(One));
    Manager->deallocate(std::move(Alone), [](Error Failed) { consumeError(std::move(Failed)); });
  }
  double Freeing = now() - Start, Count = 1e3 * double(std::max<size_t>(Placed, 1));
  std::printf("%f %f %zu %zu %f\n", Placing / Count, Freeing / Count, Total - Placed, Mappings, Memory);
  std::fflush(stdout);
  std::_Exit(0);
}

int main(int Count, char **Arguments) {
  if (Count == 5 && std::string(Arguments[1]) == "one")
    return replay(Arguments[2], read(Arguments[3]), std::strtoul(Arguments[4], nullptr, 10));
  if (Count != 4)
    return 2;
  std::vector<std::string> Kinds = {"floor", "codeslab", "hardened", "inprocess", "mapper"};
  auto Medians = alternate(Kinds, std::atoi(Arguments[3]), [&](const std::string &Kind) {
    return std::vector<std::string>{Arguments[0], "one", Kind, Arguments[1], Arguments[2]};
  });
  auto All = [&](const std::string &Kind) { return Medians[Kind].size() == 5 ? Medians[Kind][0] + Medians[Kind][1] : 0; };
  for (const std::string &Kind : Kinds) {
    const std::vector<double> &Row = Medians[Kind];
    if (Row.size() != 5) {
      std::printf("%-10s crashed\n", Kind.c_str());
      continue;
    }
    std::printf("%-10s %6.2f us to place, %5.2f us to free, %5.0f failed, %5.0f mappings, %5.2f x memory, %5.2f x time\n", Kind.c_str(),
                Row[0], Row[1], Row[2], Row[3], Row[4], All(Kind) / All("codeslab"));
  }
  return All("codeslab") > 0 && Medians["codeslab"][2] == 0 ? 0 : 1;
}
